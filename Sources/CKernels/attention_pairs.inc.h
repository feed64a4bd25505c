// Attention whose products take two columns at once: twice as many a cycle as floats.
//
// It pays where several heads share a key, so that arithmetic limits and not memory. Each step converts its keys, and
// later its values, once for all rows of the tile, into pairs in the first-level cache.
//
//   BF16  keys are stored as pairs; queries and weights are rounded to bf16.
//   F16   everything becomes int16 and is summed exactly: queries and keys have the scale of the largest of 64 dims and
//         of the slot, values that of the slot, which is multiplied into the weights, and these that of the largest of
//         the step. Rounding errors are about those of halves.
//   Q8_0  values keep their bytes; weights become int16 with the slots' scales in them.
//   Q4_1  values keep their nibbles, likewise; what minima add is the same for all dims of a block.
//
// What a row gets does not depend on the rows beside it: a scale belongs to one slot, or to one row and what it sees.

enum {
  PAIR_ROWS = 3,   // query heads of a key from which on pairs are used
  WORD_DIMS = 64,  // dims whose int16 products fit into 32 bits
};

// Magnitudes of int16, such that sums of 64 products stay below 2^31.
#define QUERY_LIMIT 5792.0f
#define KEY_LIMIT 5792.0f
#define VALUE_LIMIT 2047.0f
#define WEIGHT_LIMIT 16384.0f
#define BYTE_WEIGHT_LIMIT 32767.0f

INLINE pair_kind score_kind_of(const sluice_attention *a) {
  if (a->rows_per_token < PAIR_ROWS || a->head_dim % PANEL) return PAIR_NONE;
  if (a->type == SLUICE_BF16 && HAS_BFLOAT_DOT) return PAIR_BFLOATS;
  return a->type == SLUICE_F16 && HAS_WORDS_DOT ? PAIR_WORDS : PAIR_NONE;
}

INLINE pair_kind value_kind_of(const sluice_attention *a) {
  if (a->type != SLUICE_Q8_0 && a->type != SLUICE_Q4_1) return score_kind_of(a);
  return a->rows_per_token >= PAIR_ROWS && HAS_WORDS_DOT ? PAIR_WORDS : PAIR_NONE;
}

/// acc + the dot of each lane's pair with the pair `x`; sums are floats or int32 by the kind.
INLINE lanes_u pairs_dot(pair_kind kind, lanes_u acc, lanes_u pairs, uint32_t x) {
#if HAS_WORDS_DOT
  if (kind == PAIR_WORDS) return (lanes_u)lanes_dot_words((lanes_i)acc, pairs, x);
#endif
#if HAS_BFLOAT_DOT
  if (kind == PAIR_BFLOATS) return bits_of_lanes(lanes_dot_bfloats(lanes_of_bits(acc), pairs, x));
#endif
  __builtin_unreachable();
}

INLINE lanes pairs_sum(pair_kind kind, lanes_u acc) {
  return kind == PAIR_WORDS ? __builtin_convertvector((lanes_i)acc, lanes) : lanes_of_bits(acc);
}

/// Sixteen integers of magnitudes below 2^15, as float bits whose lower halves they are.
INLINE lanes_u words_of_lanes(lanes x, lanes inverse) { return bits_of_lanes(lanes_fma(x, inverse, (lanes)0x1.8p23f)); }

/// Pairs of (even, odd) from two vectors' lower halves.
INLINE lanes_u pair_words(lanes_u even, lanes_u odd) { return (even & 0xffff) | odd << 16; }

/// Pairs of (even, odd) from two vectors of 16 bits.
INLINE lanes_u pair_halves(lanes_h even, lanes_h odd) {
  return (lanes_u)__builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9,
                                          25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/// limit / largest, or 0 where that is no number of use.
INLINE lanes inverse_scales(lanes largest, float limit) {
  return lanes_select(largest > 0x1p-100f, limit / largest, (lanes)0.0f);
}

/// Rounds 16 values to words or bfloats.
INLINE void narrow_pairs(pair_kind kind, lanes x, lanes inverse, uint32_t *out) {
#if HAS_BFLOAT_DOT
  if (kind == PAIR_BFLOATS) return lanes_store_bfloats(out, x);
#endif
  lanes_h words = __builtin_convertvector(words_of_lanes(x, inverse), lanes_h);
  memcpy(out, &words, sizeof words);
}

static void convert_queries(attention_step *step) {
  const sluice_attention *a = step->attention;
  int parts = (a->head_dim + WORD_DIMS - 1) / WORD_DIMS;
  for (int row = 0; row < step->rows; row++) {
    const float *query = a->queries + (step->first_row + row) * a->query_stride;
    uint32_t *out = step->query_pairs + (ptrdiff_t)row * (a->head_dim / 2);
    for (int part = 0; part < parts; part++) {
      int first = part * WORD_DIMS, count = a->head_dim - first < WORD_DIMS ? a->head_dim - first : WORD_DIMS;
      lanes largest = 0;
      for (int i = first; i < first + count; i += PANEL)
        largest = lanes_max(__builtin_elementwise_abs(lanes_load(query + i)), largest);
      float scale = lanes_largest(largest);
      step->query_scales[row * parts + part] = scale * (1.0f / QUERY_LIMIT);
      lanes inverse = inverse_scales((lanes)scale, QUERY_LIMIT);
      for (int i = first; i < first + count; i += PANEL)
        narrow_pairs(step->score_kind, lanes_load(query + i), inverse, out + i / 2);
    }
  }
}

/// Chooses how a tile multiplies, divides the scratch for it and converts the queries; returns the rest of the scratch.
static float *start_pairs(attention_step *step, float *scratch) {
  const sluice_attention *a = step->attention;
  step->score_kind = score_kind_of(a);
  step->value_kind = value_kind_of(a);
  if (step->value_kind == PAIR_NONE) return scratch;
  ptrdiff_t rows = step->rows, dims = a->head_dim;
  step->weight_groups = quantized_layout_of(a->type).parts ? a->head_dim / BLOCK : 1;
  step->pairs = (uint32_t *)(void *)scratch;
  step->slot_scales = scratch + dims * (ATTENTION_SLOTS / 2);
  step->weight_pairs = (uint32_t *)(void *)(step->slot_scales + step->weight_groups * ATTENTION_SLOTS);
  step->query_pairs = step->weight_pairs + step->weight_groups * rows * (ATTENTION_SLOTS / 2);
  step->weight_scales = (float *)(void *)(step->query_pairs + rows * (dims / 2));
  step->query_scales = step->weight_scales + step->weight_groups * rows;
  if (step->score_kind != PAIR_NONE) convert_queries(step);
  return step->query_scales + rows * ((dims + WORD_DIMS - 1) / WORD_DIMS);
}
