// What the parts of attention's work hand each other.

/// What kept weights are multiplied by where they are halves, so that small ones keep all their bits too.
#define KEPT_SCALE 0x1p15f

/// What two columns that meet at once are made of.
typedef enum pair_kind {
  PAIR_NONE,     // they do not: floats, or bytes by fours
  PAIR_WORDS,    // int16, whose products are summed exactly
  PAIR_BFLOATS,  // bf16
} pair_kind;

/// One step of the walk: a tile of rows meeting up to 64 slots.
typedef struct attention_step {
  const sluice_attention *attention;
  int first_row, rows;
  int block;                  // first slot of the step, a multiple of ATTENTION_SLOTS
  int first_slot, last_slot;  // slots of the step that at least one row sees
  float *scores;              // [row, ATTENTION_SLOTS], logits and then weights
  quantized_rows queries;     // of the tile, where slots are quantised

  // Where pairs meet (attention_pairs.inc.h).
  pair_kind score_kind, value_kind;
  int weight_groups;         // groups of dims whose weights differ, by their slots' scales
  uint32_t *query_pairs;     // [row, head_dim / 2]
  float *query_scales;       // [row, part of WORD_DIMS dims]
  uint32_t *pairs;           // of the step: keys [panel, head_dim / 2, slot of 16] or values [pair of slots, head_dim]
  float *slot_scales;        // [group, ATTENTION_SLOTS], of keys or of values
  uint32_t *weight_pairs;    // [group, row, ATTENTION_SLOTS / 2]
  float *weight_scales;      // [row]
} attention_step;

/// Asks for the cache lines of [p, p + bytes), which the next step will read: hardware prefetchers stop at each page
/// and lose the keys while the values are read. Addresses past the end do no harm.
///
/// Where pairs are made, arithmetic is long enough for lines to wait in the second-level cache, which can ask for more at
/// once than the first.
INLINE void prefetch(const void *p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)p + i, 0, 3);
}
