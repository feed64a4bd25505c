// Bounds of pages: the smallest and the largest that each key dimension is in a page of slots, and what they say about
// logits (Quest, arXiv 2406.10774, section 3.3).
//
// Bounds are halves rounded outward, [panel of 16 pages, dim, (smallest | largest), 16 pages]: one load serves 16 pages,
// and both bounds of a dimension are one cache line.

/// The least halves that are not below x.
INLINE void halves_at_least(uint16_t *p, lanes x) {
  lanes_store_halves(p, x);
  lanes_i is_below = lanes_of_halves(p) < x;
  lanes_h bits;
  memcpy(&bits, p, sizeof bits);
  lanes_i half = __builtin_convertvector(bits, lanes_i), up = (half & 0x8000) != 0 ? (lanes_i)-1 : (lanes_i)1;
  bits = __builtin_convertvector(is_below ? half + up : half, lanes_h);
  memcpy(p, &bits, sizeof bits);
}

/// Takes 16 (or `count`) dims of a key into one side of their page's bounds, each in a line of its own; `sign` -1 for
/// the smallest, which are the largest of the negated keys.
INLINE void widen_side(uint16_t *side, lanes key, int count, float sign, int is_first) {
  uint16_t old[PANEL] = {0}, new[PANEL];
  for (int d = 0; d < count; d++) old[d] = side[d * 2 * PANEL];
  lanes_i is_outside = key * sign > lanes_of_halves(old) * sign;
  if (!is_first && !__builtin_reduce_or(is_outside)) return;
  halves_at_least(new, key * sign);
  // Chosen in vectors: which dims a key widens is what no branch predictor knows.
  lanes_h kept, widened, mask = __builtin_convertvector(is_outside | (lanes_i)(is_first ? -1 : 0), lanes_h);
  memcpy(&kept, old, sizeof kept);
  memcpy(&widened, new, sizeof widened);
  widened = ((widened ^ (uint16_t)(sign < 0 ? 0x8000 : 0)) & mask) | (kept & ~mask);
  memcpy(new, &widened, sizeof widened);
  for (int d = 0; d < count; d++) side[d * 2 * PANEL] = new[d];
}

static void widen_page(int head_dim, const float *key, uint16_t *bounds, int page, int is_first) {
  uint16_t *smallest = bounds + (size_t)(page / PANEL) * (size_t)head_dim * (2 * PANEL) + page % PANEL;
  for (int d = 0; d < head_dim; d += PANEL, smallest += PANEL * 2 * PANEL) {
    int count = head_dim - d < PANEL ? head_dim - d : PANEL;
    lanes x = count == PANEL ? lanes_load(key + d) : lanes_load_first(key + d, count);
    widen_side(smallest, x, count, -1, is_first);
    widen_side(smallest + PANEL, x, count, 1, is_first);
  }
}

/// Bounds of `rows` (constant) queries in `panels` (constant) panels of pages, merged by maximum into `largest`. Asks for
/// the panels at `next` along the way, where that is not null: hardware prefetchers stop at each panel's end.
INLINE void bound_tile(int head_dim, int panels, int rows, const uint16_t *bounds, const uint16_t *next,
                       const float *queries, ptrdiff_t query_stride, const float *slopes, const lanes *distances,
                       lanes *largest) {
  lanes total[2 * 3];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int p = 0; p < panels; p++) total[r * panels + p] = slopes ? distances[p] * -slopes[r] : (lanes)0.0f;
  ptrdiff_t panel = (ptrdiff_t)head_dim * (2 * PANEL);
  for (int d = 0; d < head_dim; d++, bounds += 2 * PANEL) {
    if (next) UNROLL for (int p = 0; p < 2; p++) __builtin_prefetch(next + d * 2 * PANEL + p * panel, 0, 3);
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

typedef struct page_queries {
  int head_dim, rows;
  const float *queries;
  ptrdiff_t query_stride;
  const float *slopes;
} page_queries;

/// Bounds of pages 0 to `pages` - 1 of `panels` (constant) panels.
INLINE void bound_panels(const page_queries *q, int panels, const uint16_t *bounds, const uint16_t *next, int pages,
                         const float *distances, float *out) {
  lanes largest[2], near[2] = {0, 0};
  UNROLL for (int p = 0; p < panels; p++) {
    int count = pages - p * PANEL < PANEL ? pages - p * PANEL : PANEL;
    largest[p] = -INFINITY;
    if (distances) near[p] = lanes_load_first(distances + p * PANEL, count);
  }
  int r = 0;
#define BOUND_ROWS(ROWS)                                                                                          \
  bound_tile(q->head_dim, panels, ROWS, bounds, r == 0 ? next : NULL, q->queries + r * q->query_stride,           \
             q->query_stride, q->slopes ? q->slopes + r : NULL, near, largest)
  for (; q->rows - r >= 3; r += 3) BOUND_ROWS(3);
  if (q->rows - r == 2) BOUND_ROWS(2);
  if (q->rows - r == 1) BOUND_ROWS(1);
#undef BOUND_ROWS
  UNROLL for (int p = 0; p < panels; p++) {
    int count = pages - p * PANEL;
    if (count >= PANEL) lanes_store(out + p * PANEL, largest[p]);
    else lanes_store_first(out + p * PANEL, largest[p], count);
  }
}

static void bound_pages(int head_dim, const uint16_t *bounds, const uint16_t *next, int pages, int rows,
                        const float *queries, ptrdiff_t query_stride, const float *slopes, const float *distances,
                        float *out) {
  page_queries q = {head_dim, rows, queries, query_stride, slopes};
  ptrdiff_t panel = (ptrdiff_t)head_dim * (2 * PANEL);
  for (int page = 0; page < pages; page += 2 * PANEL) {
    const uint16_t *here = bounds + page / PANEL * panel;
    const uint16_t *after = pages - page > 2 * PANEL ? here + 2 * panel : next;
    const float *near = slopes ? distances + page : NULL;
    if (pages - page > PANEL) bound_panels(&q, 2, here, after, pages - page, near, out + page);
    else bound_panels(&q, 1, here, after, pages - page, near, out + page);
  }
}
