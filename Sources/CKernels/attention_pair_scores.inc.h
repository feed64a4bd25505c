// Logits of a step from pairs of dims.

/// Where the tiles find their keys.
typedef struct key_source {
  const uint8_t *keys;    // the step's first panel
  ptrdiff_t panel_bytes;
  ptrdiff_t ahead;        // from the keys to those of the next step
  const float *inverse;   // halves: what each slot's are to be multiplied by to become words; null: they are pairs
} key_source;

/// Leaves the scales of one panel of halves and their inverses.
INLINE void find_key_scales(const uint8_t *panel, int dims, float *scales, float *inverses) {
  lanes_h2 columns = 0;
  for (int c = 0; c < dims; c += 2) {
    lanes_h2 halves;
    memcpy(&halves, panel + 32 * c, sizeof halves);
    columns = __builtin_elementwise_max(columns, halves & 0x7fff);
  }
  lanes_h largest = __builtin_elementwise_max(columns.lo, columns.hi);
  lanes magnitude = lanes_of_halves(&largest);
  lanes_store(scales, magnitude * (1.0f / KEY_LIMIT));
  lanes_store(inverses, lanes_select(magnitude > 0, KEY_LIMIT / magnitude, (lanes)0.0f));
}

/// Pair `c` of a panel of halves.
INLINE lanes_u key_words(const uint8_t *panel, ptrdiff_t c, lanes inverse) {
  return pair_words(words_of_lanes(lanes_of_halves(panel + 64 * c), inverse),
                    words_of_lanes(lanes_of_halves(panel + 64 * c + 32), inverse));
}

/// `panel` counts from the step's first.
INLINE void pair_score_tile(pair_kind kind, int is_halves, const attention_step *step, key_source source, int panels,
                            int rows, int row, int panel) {
  const uint8_t *keys = source.keys + panel * source.panel_bytes;
  lanes inverse[TILE_LIMIT];
  if (is_halves) UNROLL for (int p = 0; p < panels; p++) inverse[p] = lanes_load(source.inverse + (panel + p) * PANEL);
  int pairs = step->attention->head_dim / 2, parts = (pairs + WORD_DIMS / 2 - 1) / (WORD_DIMS / 2);
  const uint32_t *queries = step->query_pairs + (ptrdiff_t)row * pairs;
  lanes total[TILE_LIMIT];
  UNROLL for (int i = 0; i < panels * rows; i++) total[i] = 0;
  for (int part = 0; part < parts; part++) {
    int first = part * (WORD_DIMS / 2), last = pairs - first < WORD_DIMS / 2 ? pairs : first + WORD_DIMS / 2;
    lanes_u acc[TILE_LIMIT];
    UNROLL for (int i = 0; i < panels * rows; i++) acc[i] = 0;
    for (int c = first; c < last; c++) {
      lanes_u key[TILE_LIMIT];
      UNROLL for (int p = 0; p < panels; p++) {
        const uint8_t *at = keys + p * source.panel_bytes;
        if (row == 0) __builtin_prefetch(at + 64 * (ptrdiff_t)c + source.ahead, 0, 2);
        key[p] = is_halves ? key_words(at, c, inverse[p]) : lanes_load_bits(at + 64 * (ptrdiff_t)c);
      }
      UNROLL for (int r = 0; r < rows; r++) {
        uint32_t query = queries[r * pairs + c];
        UNROLL for (int p = 0; p < panels; p++)
          acc[p * rows + r] = pairs_dot(kind, acc[p * rows + r], key[p], query);
      }
    }
    UNROLL for (int r = 0; r < rows; r++) {
      lanes scale = kind == PAIR_WORDS ? step->query_scales[(row + r) * parts + part] : 1.0f;
      UNROLL for (int p = 0; p < panels; p++)
        total[p * rows + r] = lanes_fma(pairs_sum(kind, acc[p * rows + r]), scale, total[p * rows + r]);
    }
  }
  float *scores = step->scores + row * ATTENTION_SLOTS + panel * PANEL;
  UNROLL for (int p = 0; p < panels; p++) {
    lanes scale = kind == PAIR_WORDS ? lanes_load(step->slot_scales + (panel + p) * PANEL) : (lanes)1.0f;
    UNROLL for (int r = 0; r < rows; r++)
      lanes_store(scores + r * ATTENTION_SLOTS + p * PANEL, total[p * rows + r] * scale);
  }
}

INLINE void pair_score_rows(pair_kind kind, int is_halves, const attention_step *step, key_source source, int rows,
                            int row) {
  int panels = PAIR_SCORE_PANELS(rows);
  int panel = (step->first_slot - step->block) / PANEL, last = (step->last_slot - step->block + PANEL - 1) / PANEL;
  for (; panel + panels <= last; panel += panels)
    pair_score_tile(kind, is_halves, step, source, panels, rows, row, panel);
  for (; panel < last; panel++) pair_score_tile(kind, is_halves, step, source, 1, rows, row, panel);
}

INLINE void pair_scores_of(pair_kind kind, int is_halves, const attention_step *step, key_source source) {
  int row = 0;
  for (; step->rows - row >= PAIR_TILE_ROWS; row += PAIR_TILE_ROWS)
    pair_score_rows(kind, is_halves, step, source, PAIR_TILE_ROWS, row);
  switch (step->rows - row) {
    case 7: pair_score_rows(kind, is_halves, step, source, PAIR_TILE_ROWS > 7 ? 7 : 1, row); break;
    case 6: pair_score_rows(kind, is_halves, step, source, PAIR_TILE_ROWS > 6 ? 6 : 1, row); break;
    case 5: pair_score_rows(kind, is_halves, step, source, PAIR_TILE_ROWS > 5 ? 5 : 1, row); break;
    case 4: pair_score_rows(kind, is_halves, step, source, PAIR_TILE_ROWS > 4 ? 4 : 1, row); break;
    case 3: pair_score_rows(kind, is_halves, step, source, 3, row); break;
    case 2: pair_score_rows(kind, is_halves, step, source, 2, row); break;
    case 1: pair_score_rows(kind, is_halves, step, source, 1, row); break;
  }
}

static void pair_scores(const attention_step *step) {
#if HAS_WORDS_DOT || HAS_BFLOAT_DOT
  const sluice_attention *a = step->attention;
  ptrdiff_t panel_bytes = (ptrdiff_t)panel_bytes_of(a->type, a->head_dim);
  const uint8_t *keys = (const uint8_t *)a->keys + step->block / PANEL * panel_bytes;
  ptrdiff_t ahead = ATTENTION_SLOTS / PANEL * panel_bytes;
#if HAS_BFLOAT_DOT
  if (step->score_kind == PAIR_BFLOATS)
    return pair_scores_of(PAIR_BFLOATS, 0, step, (key_source){keys, panel_bytes, ahead, NULL});
#endif
#endif
#if HAS_WORDS_DOT
  int first = (step->first_slot - step->block) / PANEL, last = (step->last_slot - step->block + PANEL - 1) / PANEL;
  float inverses[ATTENTION_SLOTS];
  for (int panel = first; panel < last; panel++)
    find_key_scales(keys + panel * panel_bytes, a->head_dim, step->slot_scales + panel * PANEL,
                    inverses + panel * PANEL);
  if (step->rows <= PAIR_TILE_ROWS)
    return pair_scores_of(PAIR_WORDS, 1, step, (key_source){keys, panel_bytes, ahead, inverses});
  int pairs = a->head_dim / 2;
  const uint8_t *converted = (const uint8_t *)step->pairs;
  for (int panel = first; panel < last; panel++) {
    lanes inverse = lanes_load(inverses + panel * PANEL);
    for (int c = 0; c < pairs; c++)
      lanes_store_bits(step->pairs + (panel * pairs + c) * PANEL, key_words(keys + panel * panel_bytes, c, inverse));
  }
  pair_scores_of(PAIR_WORDS, 0, step, (key_source){converted, (ptrdiff_t)pairs * 64, keys + ahead - converted, NULL});
#endif
}
