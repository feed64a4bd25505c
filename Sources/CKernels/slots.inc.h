// Writing and reading single slots of a KV stage.

/// 16-bit patterns of `n` values; halves saturate at 65504, so that a finite value never turns into an infinity that
/// would poison rows which do not see the slot.
static void narrow(sluice_type type, const float *x, int n, uint16_t *out) {
  for (int i = 0; i < n; i += 16) {
    int count = n - i < 16 ? n - i : 16;
    lanes value = lanes_load_first(x + i, count);
    uint16_t part[16];
    if (type == SLUICE_F16) {
      value = value > 65504.0f ? (lanes)65504.0f : value;
      value = value < -65504.0f ? (lanes)-65504.0f : value;
      lanes_store_halves(part, value);
    } else {
      for (int j = 0; j < count; j++) part[j] = bfloat_of_float(value[j]);
    }
    memcpy(out + i, part, (size_t)count * sizeof *out);
  }
}

/// A half that is at least finite.
INLINE uint16_t finite_half(float x) { return half_of_float(x > 65504.0f ? 65504.0f : x < -65504.0f ? -65504.0f : x); }

/// One block of 32 values as a half scale and 32 quants.
static uint16_t quantize_q8_0(const float *x, int8_t quants[32]) {
  lanes low = lanes_load(x), high = lanes_load(x + 16);
  float largest = lanes_largest(lanes_max(__builtin_elementwise_abs(low), __builtin_elementwise_abs(high)));
  uint16_t half = finite_half(largest / 127.0f);
  // Against the rounded scale, so that its rounding is not an error of the quants as well.
  float scale = float_of_half(half), inverse = scale > 0 ? 1.0f / scale : 0.0f;
  for (int i = 0; i < 2; i++) {
    lanes scaled = (i ? high : low) * inverse;
    scaled = lanes_max(lanes_min(scaled, (lanes)127.0f), (lanes)-127.0f);
    lanes_b bytes = __builtin_convertvector(lanes_round(scaled), lanes_b);
    memcpy(quants + 16 * i, &bytes, sizeof bytes);
  }
  return half;
}

/// One block of 32 values as a half scale, a half minimum and 16 bytes of nibbles.
static void quantize_q4_1(const float *x, uint16_t scale_minimum[2], uint8_t nibbles[16]) {
  lanes low = lanes_load(x), high = lanes_load(x + 16);
  float largest = lanes_largest(lanes_max(low, high)), smallest = -lanes_largest(lanes_max(-low, -high));
  scale_minimum[1] = finite_half(smallest);
  float minimum = float_of_half(scale_minimum[1]);
  scale_minimum[0] = finite_half((largest - minimum) / 15.0f);
  float scale = float_of_half(scale_minimum[0]), inverse = scale > 0 ? 1.0f / scale : 0.0f;
  lanes_i quants[2];
  for (int i = 0; i < 2; i++) {
    lanes scaled = ((i ? high : low) - minimum) * inverse;
    quants[i] = lanes_round(lanes_max(lanes_min(scaled, (lanes)15.0f), (lanes)0.0f));
  }
  lanes_b bytes = __builtin_convertvector(quants[0] | quants[1] << 4, lanes_b);
  memcpy(nibbles, &bytes, sizeof bytes);
}

static void write_key(sluice_type slot_type, int head_dim, const float *key, void *keys, int slot) {
  sluice_type type = key_type_of(slot_type);
  uint8_t *panel = (uint8_t *)keys + (size_t)(slot / PANEL) * panel_bytes_of(type, head_dim);
  int lane = slot % PANEL;
  switch (type) {
    case SLUICE_F32:
      for (int c = 0; c < head_dim; c++) memcpy(panel + 64 * c + 4 * lane, key + c, 4);
      break;
    case SLUICE_F16:
    case SLUICE_BF16: {
      int group = type == SLUICE_F16 ? 1 : 2;
      for (int first = 0; first < head_dim; first += 64) {
        uint16_t part[64];
        int count = head_dim - first < 64 ? head_dim - first : 64;
        narrow(type, key + first, count, part);
        if (count % group) part[count++] = 0;
        for (int c = 0; c < count; c += group)
          memcpy(panel + 32 * (first + c) + 2 * group * lane, part + c, (size_t)(2 * group));
      }
      break;
    }
    case SLUICE_Q8_0:
      for (int b = 0; b < head_dim / BLOCK; b++, panel += panel_bytes_of(type, BLOCK)) {
        int8_t quants[32];
        uint16_t half = quantize_q8_0(key + b * BLOCK, quants);
        memcpy(panel + 2 * lane, &half, 2);
        for (int q = 0; q < 8; q++) memcpy(panel + 32 + 64 * q + 4 * lane, quants + 4 * q, 4);
      }
      break;
    default: __builtin_unreachable();
  }
}

static void write_value(sluice_type type, int head_dim, const float *value, void *values, int slot) {
  uint8_t *row = (uint8_t *)values + (size_t)slot * row_bytes_of(type, head_dim);
  switch (type) {
    case SLUICE_F32: memcpy(row, value, (size_t)head_dim * sizeof(float)); break;
    case SLUICE_F16:
    case SLUICE_BF16: narrow(type, value, head_dim, (uint16_t *)(void *)row); break;
    case SLUICE_Q8_0:
      for (int b = 0; b < head_dim / BLOCK; b++, row += 34) {
        int8_t quants[32];
        uint16_t half = quantize_q8_0(value + b * BLOCK, quants);
        memcpy(row, &half, 2);
        memcpy(row + 2, quants, 32);
      }
      break;
    case SLUICE_Q4_1:
      for (int b = 0; b < head_dim / BLOCK; b++, row += 20) {
        uint8_t nibbles[16];
        uint16_t halves[2];
        quantize_q4_1(value + b * BLOCK, halves, nibbles);
        memcpy(row, halves, 4);
        memcpy(row + 4, nibbles, 16);
      }
      break;
    default: __builtin_unreachable();
  }
}

static void read_key(sluice_type slot_type, int head_dim, const void *keys, int slot, float *out) {
  sluice_type type = key_type_of(slot_type);
  const uint8_t *panel = (const uint8_t *)keys + (size_t)(slot / PANEL) * panel_bytes_of(type, head_dim);
  sluice_unpack_row(type, panel, slot % PANEL, head_dim, out);
}

// value_T(row, i, count): values 16i to 16i + count - 1 of a GGUF row; count is 16 but for the tail of a row.

INLINE lanes value_f32(const uint8_t *row, int i, int count) {
  return count == 16 ? lanes_load(row + 64 * i) : lanes_load_first((const float *)(const void *)(row + 64 * i), count);
}

INLINE lanes value_f16(const uint8_t *row, int i, int count) {
  if (count == 16) return lanes_of_halves(row + 32 * i);
  uint16_t part[16] = {0};
  memcpy(part, row + 32 * i, 2 * (size_t)count);
  return lanes_of_halves(part);
}

INLINE lanes value_bf16(const uint8_t *row, int i, int count) {
  if (count == 16) return lanes_of_bfloats(row + 32 * i);
  uint16_t part[16] = {0};
  memcpy(part, row + 32 * i, 2 * (size_t)count);
  return lanes_of_bfloats(part);
}

INLINE lanes value_q8_0(const uint8_t *row, int i, int count) {
  const uint8_t *block = row + 34 * (i / 2);
  return lanes_of_bytes(block + 2 + 16 * (i % 2)) * load_half(block);
}

INLINE lanes value_q4_1(const uint8_t *row, int i, int count) {
  const uint8_t *block = row + 20 * (i / 2);
  lanes_u wide = bits_of_bytes(block + 4);
  lanes_i quants = (lanes_i)(i % 2 ? wide >> 4 : wide & 15);
  return lanes_fma(__builtin_convertvector(quants, lanes), (lanes)load_half(block), (lanes)load_half(block + 2));
}

static void read_value(sluice_type type, int head_dim, const void *values, int slot, float *out) {
  const uint8_t *row = (const uint8_t *)values + (size_t)slot * row_bytes_of(type, head_dim);
  for (int i = 0; 16 * i < head_dim; i++) {
    int count = head_dim - 16 * i < 16 ? head_dim - 16 * i : 16;
    lanes x = 0;
    switch (type) {
      case SLUICE_F32: x = value_f32(row, i, count); break;
      case SLUICE_F16: x = value_f16(row, i, count); break;
      case SLUICE_BF16: x = value_bf16(row, i, count); break;
      case SLUICE_Q8_0: x = value_q8_0(row, i, count); break;
      case SLUICE_Q4_1: x = value_q4_1(row, i, count); break;
      default: __builtin_unreachable();
    }
    lanes_store_first(out + 16 * i, x, count);
  }
}
