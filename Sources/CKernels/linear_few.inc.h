// Quantised matrices times a few tokens, as in batched decode: straight from the panels, like one token.
//
// Expanding blocks first pays for itself only over many tokens. Sums are the same, bit for bit, as for one token and for
// many.

enum {
  FEW_TOKENS = TILE_PANELS * TILE_TOKENS,  // accumulators that stay in registers beside one panel
  FEW_LIMIT = 2 * FEW_TOKENS < 16 ? 2 * FEW_TOKENS : 16
};

#define QUANTIZED_FEW(TYPE, ENUM, PARTS, ROW_BYTES, HALVES, SMALL, BITS, KIND, OFFSET)                          \
  case SLUICE_##ENUM:                                                                                           \
    integer_tile(packed_format(SLUICE_##ENUM), OFFSET, 1, COUNT, w, 0, segment->columns / BLOCK,               \
                 quantized_rows_at(activations, token, 0), total);                                              \
    break;

#define DEFINE_FEW(TOKENS)                                                                                            \
  static void panel_times_##TOKENS(const sluice_linear_segment *segment, int panel, const sluice_activations *activations, \
                                   int token) {                                                                       \
    enum { COUNT = TOKENS };                                                                                          \
    const uint8_t *w = segment->panels + (size_t)panel * panel_bytes_of(segment->type, segment->columns);             \
    lanes total[TOKENS];                                                                                              \
    UNROLL for (int t = 0; t < TOKENS; t++) total[t] = 0;                                                             \
    switch (segment->type) {                                                                                          \
      QUANTIZED_TYPES(QUANTIZED_FEW)                                                                                  \
      default: break;                                                                                                 \
    }                                                                                                                 \
    for (int t = 0; t < TOKENS; t++) store_outputs(segment, panel, token + t, total[t]);                              \
  }

DEFINE_FEW(2)
DEFINE_FEW(3)
DEFINE_FEW(4)
DEFINE_FEW(5)
DEFINE_FEW(6)
DEFINE_FEW(7)
DEFINE_FEW(8)

/// Whether a product is for `linear_few`.
static int is_few(const sluice_linear_segment *segment, int tokens, int integer) {
  return integer && tokens <= FEW_LIMIT && quantized_layout_of(segment->type).parts > 0;
}

#define FEW_CASE(TOKENS)                                                                   \
  case TOKENS:                                                                             \
    if (TOKENS <= FEW_TOKENS) panel_times_##TOKENS(segment, panel, activations, token);    \
    break;

/// All tokens in as few passes over each panel as registers allow.
static void linear_few(const sluice_linear_segment *segment, int first_panel, int last_panel,
                       const sluice_activations *activations, int first_token, int last_token) {
  enum { WIDEST = FEW_TOKENS < 8 ? FEW_TOKENS : 8 };
  for (int panel = first_panel; panel < last_panel; panel++) {
    for (int token = first_token, count; token < last_token; token += count) {
      count = last_token - token < WIDEST ? last_token - token : WIDEST;
      switch (count) {
        case 1: linear_vector(segment, panel, panel + 1, activations, token, 1); break;
        FEW_CASE(2)
        FEW_CASE(3)
        FEW_CASE(4)
        FEW_CASE(5)
        FEW_CASE(6)
        FEW_CASE(7)
        FEW_CASE(8)
      }
    }
  }
}
