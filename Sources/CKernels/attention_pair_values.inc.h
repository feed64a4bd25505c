// The weighted values of a step from pairs of slots.

/// Whether values are blocks of 32 dims with a scale.
INLINE int is_block_type(sluice_type type) { return type == SLUICE_Q8_0 || type == SLUICE_Q4_1; }

/// Where value `i` of 16 begins in a row, counted from an even one in a type of blocks. Both of a block share bytes in
/// Q4_1.
INLINE ptrdiff_t value_offset(sluice_type type, int i) {
  switch (type) {
    case SLUICE_Q4_1: return 20 * (i / 2) + 4;
    case SLUICE_Q8_0: return 34 * (i / 2) + 2 + 16 * (i % 2);
    default: return 32 * i;
  }
}

INLINE lanes_h halves_at(const uint8_t *p) {
  lanes_h x;
  memcpy(&x, p, sizeof x);
  return x;
}

INLINE lanes_u words_of_bytes(const uint8_t *p) {
  lanes_b x;
  memcpy(&x, p, sizeof x);
  return (lanes_u)__builtin_convertvector(x, lanes_i);
}

/// Sixteen values of two slots as the type's pairs, in Q4_1 half `half` of a block's 32; `inverse` points at the slots'
/// inverse scales (F16).
INLINE lanes_u value_pairs(sluice_type type, const uint8_t *even, const uint8_t *odd, int half, const float *inverse) {
  switch (type) {
    case SLUICE_Q4_1: return (bits_of_bytes(even) | bits_of_bytes(odd) << 16) >> 4 * half & 0x000f000f;
    case SLUICE_BF16: return pair_halves(halves_at(even), halves_at(odd));
    case SLUICE_Q8_0: return pair_words(words_of_bytes(even), words_of_bytes(odd));
    default:
      return pair_words(words_of_lanes(lanes_of_halves(even), (lanes)inverse[0]),
                        words_of_lanes(lanes_of_halves(odd), (lanes)inverse[1]));
  }
}

/// Converts a pair of rows; `mask` clears the half of a slot that no row sees.
INLINE void convert_value_rows(sluice_type type, const uint8_t *even, const uint8_t *odd, int dims, uint32_t mask,
                               const float *inverse, uint32_t *out) {
  int block_bytes = is_block_type(type) ? (int)row_bytes_of(type, BLOCK) : 64;
  for (; dims >= BLOCK; dims -= BLOCK, even += block_bytes, odd += block_bytes, out += BLOCK)
    UNROLL for (int v = 0; v < 2; v++) {
      ptrdiff_t at = value_offset(type, v);
      lanes_u pairs = value_pairs(type, even + at, odd + at, v, inverse) & mask;
      memcpy(out + PANEL * v, &pairs, sizeof pairs);
    }
  if (dims) {
    lanes_u pairs = value_pairs(type, even, odd, 0, inverse) & mask;
    memcpy(out, &pairs, sizeof pairs);
  }
}

INLINE void convert_values(sluice_type type, const attention_step *step, const float *inverse) {
  const sluice_attention *a = step->attention;
  size_t row_bytes = row_bytes_of(type, a->head_dim);
  const uint8_t *rows = (const uint8_t *)a->values + (size_t)step->block * row_bytes;
  int slot = step->first_slot - step->block, last = step->last_slot - step->block, dims = a->head_dim;
  if (slot % 2) {
    const uint8_t *row = rows + slot * row_bytes;
    convert_value_rows(type, row, row, dims, 0xffff0000u, inverse + slot - 1, step->pairs + slot / 2 * dims);
    slot++;
  }
  for (; slot + 2 <= last; slot += 2) {
    const uint8_t *row = rows + slot * row_bytes;
    prefetch(row + ATTENTION_SLOTS * row_bytes, 2 * row_bytes);
    convert_value_rows(type, row, row + row_bytes, dims, ~0u, inverse + slot, step->pairs + slot / 2 * dims);
  }
  if (slot < last) {
    const uint8_t *row = rows + slot * row_bytes;
    convert_value_rows(type, row, row, dims, 0xffff, inverse + slot, step->pairs + slot / 2 * dims);
  }
}

/// The largest magnitude in each column of 32 of a row of halves, as bits.
INLINE lanes_h2 largest_columns(const uint8_t *row, int dims) {
  lanes_h2 largest = 0;
  for (; dims >= BLOCK; dims -= BLOCK, row += 2 * BLOCK) {
    lanes_h2 halves;
    memcpy(&halves, row, sizeof halves);
    largest = __builtin_elementwise_max(largest, halves & 0x7fff);
  }
  if (dims) largest.lo = __builtin_elementwise_max(largest.lo, halves_at(row) & 0x7fff);
  return largest;
}

/// The larger of neighbours in each quarter, those of `a` and `b` alternating.
INLINE lanes_h2 merge_columns(lanes_h2 a, lanes_h2 b) {
  lanes_h2 low = __builtin_shufflevector(a, b, 0, 32, 1, 33, 2, 34, 3, 35, 8, 40, 9, 41, 10, 42, 11, 43, 16, 48, 17, 49,
                                         18, 50, 19, 51, 24, 56, 25, 57, 26, 58, 27, 59);
  lanes_h2 high = __builtin_shufflevector(a, b, 4, 36, 5, 37, 6, 38, 7, 39, 12, 44, 13, 45, 14, 46, 15, 47, 20, 52, 21,
                                          53, 22, 54, 23, 55, 28, 60, 29, 61, 30, 62, 31, 63);
  return __builtin_elementwise_max(low, high);
}

/// The largest magnitudes of 16 rows of halves. Each merge halves the columns of a row and doubles a vector's rows.
INLINE lanes_h largest_of_rows(const uint8_t *rows, size_t row_bytes, int dims) {
  typedef uint16_t eight __attribute__((ext_vector_type(8)));
  lanes_h2 columns[PANEL];
  UNROLL for (int i = 0; i < PANEL; i++) columns[i] = largest_columns(rows + i * row_bytes, dims);
  UNROLL for (int count = 8; count > 1; count /= 2)
    UNROLL for (int i = 0; i < count; i++) columns[i] = merge_columns(columns[i], columns[i + count]);
  lanes_h even = __builtin_elementwise_max(columns[0].lo, columns[0].hi);
  lanes_h odd = __builtin_elementwise_max(columns[1].lo, columns[1].hi);
  eight even_rows = __builtin_elementwise_max(even.lo, even.hi), odd_rows = __builtin_elementwise_max(odd.lo, odd.hi);
  return __builtin_shufflevector(even_rows, odd_rows, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
}

/// The bits of the largest magnitudes of the rows of slots [first, last) of 64.
INLINE void find_largest_values(const uint8_t *rows, size_t row_bytes, int dims, int first, int last, uint16_t *out) {
  for (int slot = first; slot < last;) {
    if (slot % PANEL == 0 && slot + PANEL <= last) {
      lanes_h largest = largest_of_rows(rows + slot * row_bytes, row_bytes, dims);
      memcpy(out + slot, &largest, sizeof largest);
      slot += PANEL;
    } else {
      out[slot] = __builtin_reduce_max(largest_columns(rows + slot * row_bytes, dims));
      slot++;
    }
  }
}

/// Leaves the scales of the step's values in `slot_scales`, 0 where no row sees the slot, and for F16 what its values
/// are to be multiplied by in `inverse`.
INLINE void find_value_scales(sluice_type type, const attention_step *step, float *inverse) {
  const sluice_attention *a = step->attention;
  size_t row_bytes = row_bytes_of(type, a->head_dim);
  const uint8_t *rows = (const uint8_t *)a->values + (size_t)step->block * row_bytes;
  int first = step->first_slot - step->block, last = step->last_slot - step->block;
  for (int group = 0; group < step->weight_groups; group++) {
    uint16_t halves[ATTENTION_SLOTS] = {0};
    if (is_block_type(type)) {
      const uint8_t *blocks = rows + row_bytes_of(type, BLOCK) * (size_t)group;
      SCALAR_LOOP for (int slot = first; slot < last; slot++) memcpy(halves + slot, blocks + slot * row_bytes, 2);
    } else if (a->head_dim == 64) {
      find_largest_values(rows, row_bytes, 64, first, last, halves);
    } else {
      find_largest_values(rows, row_bytes, a->head_dim, first, last, halves);
    }
    for (int i = 0; i < ATTENTION_SLOTS; i += PANEL) {
      lanes scale = lanes_of_halves(halves + i);
      if (type == SLUICE_F16) {
        lanes_store(inverse + i, lanes_select(scale > 0, VALUE_LIMIT / scale, (lanes)0.0f));
        scale *= 1.0f / VALUE_LIMIT;
      }
      lanes_store(step->slot_scales + group * ATTENTION_SLOTS + i, scale);
    }
  }
}

/// The largest of a row's weights [start, end), each times its slot's scale.
INLINE float largest_weight(const float *weights, const float *scales, int start, int end) {
  lanes largest = 0;
  for (int i = start; i < end; i += PANEL)
    largest = lanes_max(lanes_load(weights + i) * lanes_load(scales + i), largest);
  return lanes_largest(largest);
}

/// What a tile's rows multiply their weights by, in `inverses`: the largest, with the largest scale of its slot in it,
/// becomes `limit`.
INLINE void find_weight_scales(const attention_step *step, int start, int end, float limit, float *inverses) {
  float scales[ATTENTION_SLOTS];
  for (int i = start; i < end; i += PANEL) {
    lanes scale = lanes_load(step->slot_scales + i);
    for (int group = 1; group < step->weight_groups; group++)
      scale = lanes_max(lanes_load(step->slot_scales + group * ATTENTION_SLOTS + i), scale);
    lanes_store(scales + i, scale);
  }
  for (int tile = 0; tile < step->rows; tile += PANEL) {
    int count = step->rows - tile < PANEL ? step->rows - tile : PANEL;
    float largest[PANEL] = {0};
    SCALAR_LOOP for (int r = 0; r < count; r++)
      largest[r] = largest_weight(step->scores + (tile + r) * ATTENTION_SLOTS, scales, start, end);
    lanes peaks = lanes_load(largest);
    lanes_store(inverses + tile, inverse_scales(peaks, limit));
    lanes_store_first(step->weight_scales + tile, peaks * (1.0f / limit), count);
  }
}

/// Converts the weights [start, end) of all rows, slots' scales included.
INLINE void convert_weights(pair_kind kind, const attention_step *step, int start, int end, float limit) {
  float inverses[ATTENTION_ROWS];
  if (kind == PAIR_WORDS) find_weight_scales(step, start, end, limit, inverses);
  for (int row = 0; row < step->rows; row++) {
    const float *weights = step->scores + row * ATTENTION_SLOTS;
    if (kind == PAIR_BFLOATS) {
      uint32_t *out = step->weight_pairs + row * (ATTENTION_SLOTS / 2);
      for (int i = start; i < end; i += PANEL) narrow_pairs(kind, lanes_load(weights + i), 0, out + i / 2);
      continue;
    }
    lanes inverse = inverses[row];
    for (int group = 0; group < step->weight_groups; group++) {
      const float *scales = step->slot_scales + group * ATTENTION_SLOTS;
      uint32_t *out = step->weight_pairs + (group * step->rows + row) * (ATTENTION_SLOTS / 2);
      for (int i = start; i < end; i += PANEL)
        narrow_pairs(kind, lanes_load(weights + i) * lanes_load(scales + i), inverse, out + i / 2);
    }
  }
}

/// What minima of a step's values add to block `b` of a row, all dims alike: the sum of its weights times them.
INLINE void find_minima(const attention_step *step, int b, float *minima) {
  size_t row_bytes = row_bytes_of(SLUICE_Q4_1, step->attention->head_dim);
  const uint8_t *blocks = (const uint8_t *)step->attention->values + (size_t)step->block * row_bytes + 20 * b + 2;
  uint16_t halves[ATTENTION_SLOTS] = {0};
  SCALAR_LOOP for (int slot = step->first_slot - step->block; slot < step->last_slot - step->block; slot++)
    memcpy(halves + slot, blocks + slot * row_bytes, 2);
  for (int i = 0; i < ATTENTION_SLOTS; i += PANEL) lanes_store(minima + i, lanes_of_halves(halves + i));
}

INLINE float weighted_minima(const attention_step *step, int row, const float *minima) {
  lanes sum = 0;
  int start = (step->first_slot - step->block) / PANEL * PANEL, end = step->last_slot - step->block;
  for (int i = start; i < end; i += PANEL)
    sum = lanes_fma(lanes_load(step->scores + row * ATTENTION_SLOTS + i), lanes_load(minima + i), sum);
  return lanes_sum(sum);
}

/// Adds 16 dims each of `vectors` vectors from vector `i` on, from pairs made before or, with `inverse`, from the rows
/// of whole pairs of slots. Blocks of 32 dims have weights of their own in Q8_0; the first vector is half `half` of one.
INLINE void pair_value_tile(sluice_type type, pair_kind kind, const float *inverse, const attention_step *step,
                            const float *corrections, int rows, int vectors, int half, int row, int i) {
  const sluice_attention *a = step->attention;
  int first = (step->first_slot - step->block) / 2, last = (step->last_slot - step->block + 1) / 2;
  ptrdiff_t group_rows = is_block_type(type) ? step->rows : 0;
  const uint32_t *weights = step->weight_pairs + (i / 2 * group_rows + row) * (ATTENTION_SLOTS / 2);
  const float *scales = step->weight_scales + row;
  size_t row_bytes = row_bytes_of(type, a->head_dim);
  const uint8_t *even = (const uint8_t *)a->values + ((size_t)step->block + 2 * (size_t)first) * row_bytes;
  even += is_block_type(type) ? (int)row_bytes_of(type, BLOCK) * (i / 2) : 32 * i;
  const uint32_t *pairs = step->pairs + (ptrdiff_t)first * a->head_dim + PANEL * i;
  lanes_u acc[TILE_LIMIT];
  UNROLL for (int k = 0; k < rows * vectors; k++) acc[k] = 0;
  for (int pair = first; pair < last; pair++, even += 2 * row_bytes, pairs += a->head_dim) {
    lanes_u value[TILE_LIMIT];
    UNROLL for (int v = 0; v < vectors; v++) {
      const uint8_t *at = even + value_offset(type, half + v);
      if (inverse && (half + v) % 2 == 0) {
        __builtin_prefetch(at + ATTENTION_SLOTS * row_bytes, 0, 2);
        __builtin_prefetch(at + (ATTENTION_SLOTS + 1) * row_bytes, 0, 2);
      }
      value[v] = inverse ? value_pairs(type, at, at + row_bytes, (half + v) % 2, inverse + 2 * pair)
                         : lanes_load_bits(pairs + PANEL * v);
    }
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int v = 0; v < vectors; v++) {
        uint32_t weight = weights[(v / 2 * group_rows + r) * (ATTENTION_SLOTS / 2) + pair];
        acc[r * vectors + v] = pairs_dot(kind, acc[r * vectors + v], value[v], weight);
      }
  }
  float minima[TILE_LIMIT / 2 * ATTENTION_SLOTS];  // [block, slot]
  if (type == SLUICE_Q4_1)
    UNROLL for (int v = 0; v < vectors; v += 2) find_minima(step, (i + v) / 2, minima + v / 2 * ATTENTION_SLOTS);
  UNROLL for (int r = 0; r < rows; r++) {
    float correction = corrections[row + r];
    if (correction < 0) continue;
    float *out = a->out + (step->first_row + row + r) * a->out_stride + PANEL * i;
    float added[TILE_LIMIT / 2] = {0};
    if (type == SLUICE_Q4_1)
      UNROLL for (int v = 0; v < vectors; v += 2)
        added[v / 2] = weighted_minima(step, row + r, minima + v / 2 * ATTENTION_SLOTS);
    UNROLL for (int v = 0; v < vectors; v++) {
      lanes sum = pairs_sum(kind, acc[r * vectors + v]);
      if (kind == PAIR_WORDS) sum *= scales[r];
      if (type == SLUICE_Q4_1) sum += added[v / 2];
      lanes_store(out + PANEL * v, lanes_fma(lanes_load(out + PANEL * v), (lanes)correction, sum));
    }
  }
}

INLINE void pair_value_rows(sluice_type type, pair_kind kind, const float *inverse, const attention_step *step,
                            const float *corrections, int rows, int row) {
  int i = 0, vectors = step->attention->head_dim / PANEL, width = PAIR_VALUE_LANES(rows);
  if (width > 1) {
    for (; i + width <= vectors; i += width)
      pair_value_tile(type, kind, inverse, step, corrections, rows, width, 0, row, i);
  }
  if (!is_block_type(type)) {
    for (; i < vectors; i++) pair_value_tile(type, kind, inverse, step, corrections, rows, 1, 0, row, i);
  } else if (width > 1) {
    for (; i < vectors; i += 2) pair_value_tile(type, kind, inverse, step, corrections, rows, 2, 0, row, i);
  } else {
    for (; i < vectors; i += 2) {
      pair_value_tile(type, kind, inverse, step, corrections, rows, 1, 0, row, i);
      pair_value_tile(type, kind, inverse, step, corrections, rows, 1, 1, row, i + 1);
    }
  }
}

INLINE void pair_value_tiles(sluice_type type, pair_kind kind, const float *inverse, const attention_step *step,
                             const float *corrections) {
  int row = 0;
  for (; step->rows - row >= PAIR_TILE_ROWS; row += PAIR_TILE_ROWS)
    pair_value_rows(type, kind, inverse, step, corrections, PAIR_TILE_ROWS, row);
  switch (step->rows - row) {
    case 7: pair_value_rows(type, kind, inverse, step, corrections, PAIR_TILE_ROWS > 7 ? 7 : 1, row); break;
    case 6: pair_value_rows(type, kind, inverse, step, corrections, PAIR_TILE_ROWS > 6 ? 6 : 1, row); break;
    case 5: pair_value_rows(type, kind, inverse, step, corrections, PAIR_TILE_ROWS > 5 ? 5 : 1, row); break;
    case 4: pair_value_rows(type, kind, inverse, step, corrections, PAIR_TILE_ROWS > 4 ? 4 : 1, row); break;
    case 3: pair_value_rows(type, kind, inverse, step, corrections, 3, row); break;
    case 2: pair_value_rows(type, kind, inverse, step, corrections, 2, row); break;
    case 1: pair_value_rows(type, kind, inverse, step, corrections, 1, row); break;
  }
}

INLINE void pair_values_of(sluice_type type, pair_kind kind, const attention_step *step, const float *corrections) {
  float inverse[ATTENTION_SLOTS];
  if (kind == PAIR_WORDS) find_value_scales(type, step, inverse);
  float limit = is_block_type(type) ? BYTE_WEIGHT_LIMIT : WEIGHT_LIMIT;
  int start = (step->first_slot - step->block) / PANEL * PANEL;
  int end = (step->last_slot - step->block + PANEL - 1) / PANEL * PANEL;
  if (end - start == ATTENTION_SLOTS) convert_weights(kind, step, 0, ATTENTION_SLOTS, limit);
  else convert_weights(kind, step, start, end, limit);
  if (step->rows <= PAIR_TILE_ROWS && step->first_slot % 2 == 0 && step->last_slot % 2 == 0) {
    pair_value_tiles(type, kind, inverse, step, corrections);
  } else {
    convert_values(type, step, inverse);
    pair_value_tiles(type, kind, NULL, step, corrections);
  }
}

static void pair_values(const attention_step *step, const float *corrections) {
#if HAS_BFLOAT_DOT
  if (step->attention->type == SLUICE_BF16) return pair_values_of(SLUICE_BF16, PAIR_BFLOATS, step, corrections);
#endif
#if HAS_WORDS_DOT
  if (step->attention->type == SLUICE_F16) return pair_values_of(SLUICE_F16, PAIR_WORDS, step, corrections);
  if (step->attention->type == SLUICE_Q8_0) return pair_values_of(SLUICE_Q8_0, PAIR_WORDS, step, corrections);
  if (step->attention->type == SLUICE_Q4_1) return pair_values_of(SLUICE_Q4_1, PAIR_WORDS, step, corrections);
#endif
}
