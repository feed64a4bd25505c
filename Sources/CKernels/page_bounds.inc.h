// Bounds of pages: the smallest and the largest that each key dimension is in a page of slots, and what they say about
// logits (Quest, arXiv 2406.10774, section 3.3).
//
// Bounds are halves rounded outward, [panel of 16 pages, dim, (smallest | largest), 16 pages]: one load serves 16 pages,
// and both bounds of a dimension are one cache line.

/// The least half that is not below x.
static uint16_t half_at_least(float x) {
  uint16_t half = half_of_float(x);
  if (!(float_of_half(half) < x)) return half;
  return half & 0x8000 ? half - 1 : half + 1;
}

/// The greatest half that is not above x.
static uint16_t half_at_most(float x) { return half_at_least(-x) ^ 0x8000; }

static void widen_page(int head_dim, const float *key, uint16_t *bounds, int page, int is_first) {
  uint16_t *smallest = bounds + (size_t)(page / PANEL) * (size_t)head_dim * (2 * PANEL) + page % PANEL;
  for (int d = 0; d < head_dim; d++, smallest += 2 * PANEL) {
    uint16_t *largest = smallest + PANEL;
    if (is_first || key[d] < float_of_half(*smallest)) *smallest = half_at_most(key[d]);
    if (is_first || key[d] > float_of_half(*largest)) *largest = half_at_least(key[d]);
  }
}

/// Bounds of `rows` (constant) queries in `panels` (constant) panels of pages, merged by maximum into `largest`.
INLINE void bound_tile(int head_dim, int panels, int rows, const uint16_t *bounds, const float *queries,
                       ptrdiff_t query_stride, const float *slopes, const lanes *distances, lanes *largest) {
  lanes total[2 * 3];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int p = 0; p < panels; p++) total[r * panels + p] = slopes ? distances[p] * -slopes[r] : (lanes)0.0f;
  ptrdiff_t panel = (ptrdiff_t)head_dim * (2 * PANEL);
  for (int d = 0; d < head_dim; d++, bounds += 2 * PANEL) {
    UNROLL for (int r = 0; r < rows; r++) {
      float query = queries[r * query_stride + d];
      // A query below zero meets the smallest key. The choice is an address, not a branch.
      int32_t sign = (int32_t)bits_of_float(query) >> 31;
      const uint16_t *half = bounds + (PANEL & ~sign);
      UNROLL for (int p = 0; p < panels; p++)
        total[r * panels + p] = lanes_fma((lanes)query, lanes_of_halves(half + p * panel), total[r * panels + p]);
    }
  }
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int p = 0; p < panels; p++) {
      lanes x = total[r * panels + p];
      x = lanes_select(x == x, x, (lanes)INFINITY);
      largest[p] = lanes_max(largest[p], x);
    }
}

INLINE void bound_panels(int head_dim, int panels, int rows, const uint16_t *bounds, int pages, const float *queries,
                         ptrdiff_t query_stride, const float *slopes, const float *distances, float *out) {
  lanes largest[2], page_distances[2] = {0, 0};
  UNROLL for (int p = 0; p < panels; p++) {
    int count = pages - p * PANEL < PANEL ? pages - p * PANEL : PANEL;
    largest[p] = -INFINITY;
    if (slopes) page_distances[p] = lanes_load_first(distances + p * PANEL, count);
  }
  int r = 0;
  for (; rows - r >= 3; r += 3)
    bound_tile(head_dim, panels, 3, bounds, queries + r * query_stride, query_stride, slopes ? slopes + r : 0,
               page_distances, largest);
  if (rows - r == 2)
    bound_tile(head_dim, panels, 2, bounds, queries + r * query_stride, query_stride, slopes ? slopes + r : 0,
               page_distances, largest);
  if (rows - r == 1)
    bound_tile(head_dim, panels, 1, bounds, queries + r * query_stride, query_stride, slopes ? slopes + r : 0,
               page_distances, largest);
  UNROLL for (int p = 0; p < panels; p++) {
    int count = pages - p * PANEL < PANEL ? pages - p * PANEL : PANEL;
    lanes_store_first(out + p * PANEL, largest[p], count);
  }
}

static void bound_pages(int head_dim, const uint16_t *bounds, int pages, int rows, const float *queries,
                        ptrdiff_t query_stride, const float *slopes, const float *distances, float *out) {
  ptrdiff_t panel = (ptrdiff_t)head_dim * (2 * PANEL);
  int page = 0;
  for (; pages - page > PANEL; page += 2 * PANEL)
    bound_panels(head_dim, 2, rows, bounds + page / PANEL * panel, pages - page, queries, query_stride, slopes,
                 slopes ? distances + page : 0, out + page);
  if (page < pages)
    bound_panels(head_dim, 1, rows, bounds + page / PANEL * panel, pages - page, queries, query_stride, slopes,
                 slopes ? distances + page : 0, out + page);
}
