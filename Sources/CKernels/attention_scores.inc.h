// Logits of a step: tiles of query rows and key panels. Quantised keys meet queries quantised as activations are.

INLINE quantized_rows rows_from(quantized_rows x, int row) {
  x.quants += row * x.columns;
  x.scales += row * (x.columns / BLOCK);
  x.sums += row * (x.columns / SPAN);
  return x;
}

/// Products of `rows` queries, from row `row` of the tile on, with `panels` panels, total[panel, row].
#define DEFINE_FLOAT_PRODUCTS(TYPE)                                                                                \
  INLINE void products_##TYPE(const attention_step *step, int panels, int rows, int row, const uint8_t *keys,      \
                              ptrdiff_t panel_bytes, lanes *total) {                                               \
    const sluice_attention *a = step->attention;                                                                   \
    float_tile_##TYPE(panels, rows, keys, panel_bytes, a->head_dim,                                                \
                      a->queries + (step->first_row + row) * a->query_stride, a->query_stride, total);             \
  }

#define DEFINE_INTEGER_PRODUCTS(TYPE, ENUM)                                                                        \
  INLINE void products_##TYPE(const attention_step *step, int panels, int rows, int row, const uint8_t *keys,      \
                              ptrdiff_t panel_bytes, lanes *total) {                                               \
    quantized_layout layout = quantized_layout_of(SLUICE_##ENUM);                                                  \
    integer_tile(packed_format(SLUICE_##ENUM), layout.offset, panels, rows, keys, panel_bytes,                     \
                 step->attention->head_dim / BLOCK, rows_from(step->queries, row), total);                         \
  }

DEFINE_FLOAT_PRODUCTS(f32)
DEFINE_FLOAT_PRODUCTS(f16)
DEFINE_FLOAT_PRODUCTS(bf16)
DEFINE_INTEGER_PRODUCTS(q8_0, Q8_0)

#define DEFINE_SCORES(TYPE)                                                                                        \
  INLINE void score_tile_##TYPE(const attention_step *step, int panels, int rows, int row, int panel) {            \
    const sluice_attention *a = step->attention;                                                                   \
    ptrdiff_t panel_bytes = (ptrdiff_t)panel_bytes_of(key_type_of(a->type), a->head_dim);                          \
    const uint8_t *keys = (const uint8_t *)a->keys + panel * panel_bytes;                                          \
    if (row == 0) prefetch(keys + ATTENTION_SLOTS / PANEL * panel_bytes, (size_t)(panels * panel_bytes));          \
    lanes total[TILE_LIMIT];                                                                                       \
    UNROLL for (int i = 0; i < panels * rows; i++) total[i] = 0;                                                   \
    products_##TYPE(step, panels, rows, row, keys, panel_bytes, total);                                            \
    float *scores = step->scores + row * ATTENTION_SLOTS + (panel * PANEL - step->block);                          \
    UNROLL for (int p = 0; p < panels; p++)                                                                        \
      UNROLL for (int r = 0; r < rows; r++)                                                                        \
        lanes_store(scores + r * ATTENTION_SLOTS + p * PANEL, total[p * rows + r]);                                \
  }                                                                                                                \
  INLINE void score_rows_##TYPE(const attention_step *step, int panels, int rows, int row) {                       \
    int panel = step->first_slot / PANEL, last = (step->last_slot + PANEL - 1) / PANEL;                            \
    for (; panel + panels <= last; panel += panels) score_tile_##TYPE(step, panels, rows, row, panel);             \
    for (; panel < last; panel++) score_tile_##TYPE(step, 1, rows, row, panel);                                    \
  }                                                                                                                \
  static void scores_##TYPE(const attention_step *step) {                                                          \
    int row = 0;                                                                                                   \
    for (; step->rows - row >= SCORE_ROWS; row += SCORE_ROWS)                                                      \
      score_rows_##TYPE(step, SCORE_PANELS, SCORE_ROWS, row);                                                      \
    for (; step->rows - row >= 4; row += 4) score_rows_##TYPE(step, SCORE_PANELS_4, 4, row);                       \
    switch (step->rows - row) {                                                                                    \
      case 3: score_rows_##TYPE(step, SCORE_PANELS_3, 3, row); break;                                              \
      case 2: score_rows_##TYPE(step, SCORE_PANELS_2, 2, row); break;                                              \
      case 1: score_rows_##TYPE(step, SCORE_PANELS_1, 1, row); break;                                              \
    }                                                                                                              \
  }

DEFINE_SCORES(f32)
DEFINE_SCORES(f16)
DEFINE_SCORES(bf16)
DEFINE_SCORES(q8_0)
