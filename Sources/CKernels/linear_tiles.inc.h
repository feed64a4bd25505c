// The tiles of a matrix product: what they read, and a function for each way to multiply.
//
// Each count of tokens is a function of its own, so that its registers depend on no other's.

enum {
  CHUNK_TOKENS = 96,   // tokens that share one expansion
  DEPTH_COLUMNS = 256  // columns expanded at a time, so that a tile's weights stay in the first-level cache
};

/// What the tiles of one expansion share.
typedef struct tile_source {
  int offset;  // of quants
  const uint8_t *w;
  ptrdiff_t panel_bytes;
  int first_column, columns;
  const sluice_activations *activations;
  const uint32_t *pairs;  // [token of the chunk, DEPTH_COLUMNS / 2], where activations are multiplied in pairs
} tile_source;

/// Adds the products of `tokens` tokens, starting at `token`, to totals[token of the tile][panel].
typedef void (*run_tiles)(const tile_source *source, int tokens, int token, int chunk_token, lanes *totals);

/// Writes `columns` activations of a token, from `column` on, as pairs.
typedef void (*pair_activations)(const sluice_activations *activations, int token, int column, int columns,
                                 uint32_t *out);

/// Quantised activations from block `block` of a token on.
INLINE quantized_rows quantized_rows_at(const sluice_activations *activations, int token, ptrdiff_t block) {
  ptrdiff_t columns = activations->columns, first = token * (columns / BLOCK) + block;
  return (quantized_rows){activations->quants + token * columns + block * BLOCK, activations->scales + first,
                          activations->sums + 2 * first, columns};
}

/// Where a chunk's pairs of a token begin.
INLINE const uint32_t *pairs_at(const tile_source *source, int chunk_token) {
  return source->pairs + (ptrdiff_t)chunk_token * (DEPTH_COLUMNS / 2);
}

#define DEFINE_RUN_OF(NAME, TOKENS)                                                                                  \
  __attribute__((noinline)) static void run_##NAME##_##TOKENS(const tile_source *source, int token, int chunk_token, \
                                                              lanes *totals) {                                       \
    enum { COUNT = TOKENS <= TILE_TOKENS ? TOKENS : 1 };                                                             \
    lanes total[TILE_LIMIT];                                                                                         \
    UNROLL for (int t = 0; t < COUNT; t++)                                                                           \
      UNROLL for (int p = 0; p < TILE_PANELS; p++) total[p * COUNT + t] = totals[t * TILE_PANELS + p];               \
    tile_##NAME(source, COUNT, token, chunk_token, total);                                                           \
    UNROLL for (int t = 0; t < COUNT; t++)                                                                           \
      UNROLL for (int p = 0; p < TILE_PANELS; p++) totals[t * TILE_PANELS + p] = total[p * COUNT + t];               \
  }

/// Defines `run_NAME` by `tile_NAME`.
#define DEFINE_RUN(NAME)                                                                                             \
  DEFINE_RUN_OF(NAME, 1)                                                                                             \
  DEFINE_RUN_OF(NAME, 2)                                                                                             \
  DEFINE_RUN_OF(NAME, 3)                                                                                             \
  DEFINE_RUN_OF(NAME, 4)                                                                                             \
  DEFINE_RUN_OF(NAME, 5)                                                                                             \
  DEFINE_RUN_OF(NAME, 6)                                                                                             \
  static void run_##NAME(const tile_source *source, int tokens, int token, int chunk_token, lanes *totals) {         \
    switch (tokens) {                                                                                                \
      case 1: return run_##NAME##_1(source, token, chunk_token, totals);                                             \
      case 2: return run_##NAME##_2(source, token, chunk_token, totals);                                             \
      case 3: return run_##NAME##_3(source, token, chunk_token, totals);                                             \
      case 4: return run_##NAME##_4(source, token, chunk_token, totals);                                             \
      case 5: return run_##NAME##_5(source, token, chunk_token, totals);                                             \
      case 6: return run_##NAME##_6(source, token, chunk_token, totals);                                             \
    }                                                                                                                \
  }

INLINE void tile_floats(const tile_source *source, int tokens, int token, int chunk_token, lanes *total) {
  const sluice_activations *activations = source->activations;
  float_tile_f32(TILE_PANELS, tokens, source->w, source->panel_bytes, source->columns,
                 activations->values + token * activations->stride + source->first_column, activations->stride, total);
}
DEFINE_RUN(floats)

/// Expanded blocks of a kind, of which WORD_QUADS quads are summed in int16.
#define DEFINE_INTEGER_RUN(NAME, KIND, WORD_QUADS)                                                                   \
  INLINE void tile_##NAME(const tile_source *source, int tokens, int token, int chunk_token, lanes *total) {         \
    integer_tile((block_format){KIND, HAS_WORD_SUMS * WORD_QUADS, 1, 0}, source->offset, TILE_PANELS, tokens,        \
                 source->w, source->panel_bytes, source->columns / BLOCK,                                            \
                 quantized_rows_at(source->activations, token, source->first_column / BLOCK), total);                \
  }                                                                                                                  \
  DEFINE_RUN(NAME)

DEFINE_INTEGER_RUN(offset, KIND_OFFSET, 8)
DEFINE_INTEGER_RUN(offset_spans, KIND_OFFSET_SPANS, 2)
DEFINE_INTEGER_RUN(affine, KIND_AFFINE, 8)
DEFINE_INTEGER_RUN(affine_spans, KIND_AFFINE_SPANS, 4)
#if HAS_WORD_SUMS
DEFINE_INTEGER_RUN(offset_of_five_bits, KIND_OFFSET, 4)
DEFINE_INTEGER_RUN(affine_of_five_bits, KIND_AFFINE, 4)
#else
#define run_offset_of_five_bits run_offset
#define run_affine_of_five_bits run_affine
#endif

#if HAS_WORD_TILES
static void pair_quants(const sluice_activations *activations, int token, int column, int columns, uint32_t *out) {
  const int8_t *quants = activations->quants + (ptrdiff_t)token * activations->columns + column;
  for (int c = 0; c < columns; c += PANEL) {
    lanes_b bytes;
    memcpy(&bytes, quants + c, sizeof bytes);
    lanes_w words = __builtin_convertvector(bytes, lanes_w);
    memcpy(out + c / 2, &words, sizeof words);
  }
}

INLINE void tile_signed(const tile_source *source, int tokens, int token, int chunk_token, lanes *total) {
  word_tile(TILE_PANELS, tokens, source->w, source->panel_bytes, source->columns / BLOCK, pairs_at(source, chunk_token),
            DEPTH_COLUMNS / 2, quantized_rows_at(source->activations, token, source->first_column / BLOCK), total);
}
DEFINE_RUN(signed)
#define PAIR_QUANTS pair_quants
#else
DEFINE_INTEGER_RUN(signed, KIND_SIGNED, 0)
#define PAIR_QUANTS NULL
#endif

#if HAS_BFLOAT_DOT
/// An odd last one is paired with zero.
static void pair_bfloats(const sluice_activations *activations, int token, int column, int columns, uint32_t *out) {
  const float *x = activations->values + token * activations->stride + column;
  for (int c = 0; c < columns; c += PANEL) {
    lanes value = columns - c >= PANEL ? lanes_load(x + c) : lanes_load_first(x + c, columns - c);
    lanes_store_bfloats((uint16_t *)out + c, value);
  }
}

INLINE void tile_bfloats(const tile_source *source, int tokens, int token, int chunk_token, lanes *total) {
  bfloat_tile(TILE_PANELS, tokens, source->w, source->panel_bytes, (source->columns + 1) / 2,
              pairs_at(source, chunk_token), DEPTH_COLUMNS / 2, total);
}
DEFINE_RUN(bfloats)
#endif

INLINE run_tiles integer_run_of(block_kind kind, int bits) {
  switch (kind) {
    case KIND_SIGNED: return run_signed;
    case KIND_OFFSET: return bits == 5 ? run_offset_of_five_bits : run_offset;
    case KIND_OFFSET_SPANS: return run_offset_spans;
    case KIND_AFFINE: return bits == 5 ? run_affine_of_five_bits : run_affine;
    case KIND_AFFINE_SPANS: return run_affine_spans;
  }
  __builtin_unreachable();
}
