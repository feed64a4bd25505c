// How far a key is from the keys of slots, and which of many numbers is the smallest: what clusters of keys ask for.
//
// Differences are squared one by one. Expanding |a - b|^2 into norms and a product would cost the same, since the keys'
// bytes decide, and lose what near keys with a large common part differ by.

/// Adds the squared differences of a block of `columns` (at most 32) dims, of `panels` (constant) panels.
#define DEFINE_DISTANCES(TYPE, BLOCK_BYTES)                                                                        \
  INLINE void distance_tile_##TYPE(int panels, const uint8_t *keys, ptrdiff_t panel_bytes, int head_dim,           \
                                   const float *key, lanes *total) {                                               \
    for (int d = 0; d < head_dim; d += BLOCK, keys += BLOCK_BYTES, key += BLOCK) {                                 \
      block_scales scales[4];                                                                                      \
      UNROLL for (int p = 0; p < panels; p++) scales[p] = scales_##TYPE(keys + p * panel_bytes, 0, 0);             \
      if (head_dim - d >= BLOCK) {                                                                                 \
        UNROLL for (int half = 0; half < 8; half += 4)                                                             \
          for (int q = 0; q < 4; q++)                                                                              \
            UNROLL for (int j = 0; j < 4; j++)                                                                     \
              UNROLL for (int p = 0; p < panels; p++) {                                                            \
                lanes column = column_##TYPE(keys + p * panel_bytes, 0, scales[p], half + q, j);                   \
                column -= (lanes)key[4 * (half + q) + j];                                                          \
                total[p] = lanes_fma(column, column, total[p]);                                                    \
              }                                                                                                    \
      } else {                                                                                                     \
        for (int c = 0; c < head_dim - d; c++)                                                                     \
          for (int p = 0; p < panels; p++) {                                                                       \
            lanes column = column_##TYPE(keys + p * panel_bytes, 0, scales[p], c / 4, c % 4) - (lanes)key[c];      \
            total[p] = lanes_fma(column, column, total[p]);                                                        \
          }                                                                                                        \
      }                                                                                                            \
    }                                                                                                              \
  }

DEFINE_DISTANCES(f32, BYTES_F32)
DEFINE_DISTANCES(f16, BYTES_F16)
DEFINE_DISTANCES(bf16, BYTES_BF16)
DEFINE_DISTANCES(q8_0, PANEL * 34)

/// Distances of slots 0 to `slots` - 1 of `panels` (constant) panels.
INLINE void distance_panels(sluice_type type, int panels, int head_dim, const uint8_t *keys, ptrdiff_t panel_bytes,
                            int slots, const float *key, float weight, const float *weights, float *out) {
  lanes total[4];
  UNROLL for (int p = 0; p < panels; p++) total[p] = 0;
  switch (type) {
    case SLUICE_F32: distance_tile_f32(panels, keys, panel_bytes, head_dim, key, total); break;
    case SLUICE_F16: distance_tile_f16(panels, keys, panel_bytes, head_dim, key, total); break;
    case SLUICE_BF16: distance_tile_bf16(panels, keys, panel_bytes, head_dim, key, total); break;
    case SLUICE_Q8_0: distance_tile_q8_0(panels, keys, panel_bytes, head_dim, key, total); break;
    default: __builtin_unreachable();
  }
  UNROLL for (int p = 0; p < panels; p++) {
    int count = slots - p * PANEL < PANEL ? slots - p * PANEL : PANEL;
    if (weights) {
      lanes other = lanes_load_first(weights + p * PANEL, count);
      total[p] *= other * weight / (other + weight);
    }
    total[p] = lanes_select(total[p] == total[p], total[p], (lanes)INFINITY);
    lanes_store_first(out + p * PANEL, total[p], count);
  }
}

static void slot_distances(sluice_type slot_type, int head_dim, const void *keys, int slots, const float *key, float weight,
                           const float *weights, float *out) {
  sluice_type type = key_type_of(slot_type);
  ptrdiff_t panel_bytes = (ptrdiff_t)panel_bytes_of(type, head_dim);
  const uint8_t *panel = keys;
  int slot = 0;
  for (; slots - slot > 3 * PANEL; slot += 4 * PANEL, panel += 4 * panel_bytes)
    distance_panels(type, 4, head_dim, panel, panel_bytes, slots - slot, key, weight, weights ? weights + slot : NULL,
                    out + slot);
  for (; slot < slots; slot += PANEL, panel += panel_bytes)
    distance_panels(type, 1, head_dim, panel, panel_bytes, slots - slot, key, weight, weights ? weights + slot : NULL,
                    out + slot);
}

static void update_nearest(int index, const float *distances, int n, float *smallest, int32_t *nearest) {
  for (int i = 0; i < n; i += PANEL) {
    int count = n - i < PANEL ? n - i : PANEL;
    lanes distance = lanes_load_first(distances + i, count), known = lanes_load_first(smallest + i, count);
    lanes_i before = -1;
    memcpy(&before, nearest + i, (size_t)count * sizeof *nearest);
    lanes_i is_nearer = distance < known, was_nearest = before == index;
    lanes_i is_first = is_nearer | ((distance == known) & ~was_nearest & (before > index));
    lanes_i is_bound = was_nearest & (distance > known);
    lanes_i after = (is_first & index) | (is_bound & ~index) | (~(is_first | is_bound) & before);
    lanes_store_first(smallest + i, lanes_select(is_nearer, distance, known), count);
    memcpy(nearest + i, &after, (size_t)count * sizeof *nearest);
  }
}

static int first_smallest(const float *x, int n) {
  lanes best = INFINITY;
  lanes_i index = lanes_index(), indices = index;
  for (int i = 0; i < n; i += PANEL, index += PANEL) {
    lanes value;
    if (n - i >= PANEL) {
      value = lanes_load(x + i);
    } else {
      value = INFINITY;
      memcpy(&value, x + i, (size_t)(n - i) * sizeof *x);
    }
    lanes_i is_smaller = value < best;
    best = lanes_select(is_smaller, value, best);
    indices = is_smaller ? index : indices;
  }
  int first = 0;
  for (int lane = 1; lane < PANEL; lane++)
    if (best[lane] < best[first] || (best[lane] == best[first] && indices[lane] < indices[first])) first = lane;
  return indices[first];
}
