// What one thread can multiply at most: loops that touch nothing but registers and the first-level cache.
//
// A register tile as in a matrix product, PEAK_WEIGHTS vectors by PEAK_INPUTS broadcast values, with enough independent
// sums to hide an instruction's latency. One multiplication and one addition count as two operations.

#define PEAK_SUMS (PEAK_WEIGHTS * PEAK_INPUTS)

/// Hides from the compiler what `p` points at, so that no loop is folded, hoisted or dropped.
INLINE void peak_conceal(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

static uint64_t peak_float32(uint64_t iterations) {
  float constants[2] = {0.999f, 1e-6f};
  peak_conceal(constants);
  lanes factor = constants[0], term = constants[1], sums[PEAK_SUMS];
  UNROLL
  for (int i = 0; i < PEAK_SUMS; i++) sums[i] = (float)i;
  KEEP_LOOP
  for (uint64_t iteration = 0; iteration < iterations; iteration++) {
    UNROLL
    for (int i = 0; i < PEAK_SUMS; i++) sums[i] = lanes_fma(sums[i], factor, term);
  }
  lanes total = sums[0];
  UNROLL
  for (int i = 1; i < PEAK_SUMS; i++) total += sums[i];
  peak_conceal(&total);
  return iterations * PEAK_SUMS * 16 * 2;
}

/// Defines the peak loop of a dot product instruction: `dot(acc, weights, x)` multiplies `width` pairs a lane. The
/// weights come from memory anew each time, as a matrix does; with the bits given, every dot product is 0.
#define DEFINE_DOT_PEAK(peak_name, lanes_type, dot, width, weight_bits, input_bits)                                   \
  static uint64_t peak_name(uint64_t iterations) {                                                                    \
    uint32_t weights[PEAK_WEIGHTS][16], inputs[PEAK_INPUTS], x[PEAK_INPUTS];                                          \
    for (int i = 0; i < PEAK_WEIGHTS * 16; i++) weights[i / 16][i % 16] = (weight_bits);                              \
    for (int i = 0; i < PEAK_INPUTS; i++) inputs[i] = (input_bits);                                                   \
    peak_conceal(inputs);                                                                                             \
    memcpy(x, inputs, sizeof x);                                                                                      \
    lanes_type sums[PEAK_SUMS];                                                                                       \
    UNROLL                                                                                                            \
    for (int i = 0; i < PEAK_SUMS; i++) sums[i] = 0;                                                                  \
    KEEP_LOOP                                                                                                         \
    for (uint64_t iteration = 0; iteration < iterations; iteration++) {                                               \
      peak_conceal(weights);                                                                                          \
      UNROLL                                                                                                          \
      for (int w = 0; w < PEAK_WEIGHTS; w++) {                                                                        \
        lanes_u row = lanes_load_bits(weights[w]);                                                                    \
        UNROLL                                                                                                        \
        for (int i = 0; i < PEAK_INPUTS; i++) {                                                                       \
          lanes_type *sum = &sums[w * PEAK_INPUTS + i];                                                               \
          *sum = dot(*sum, row, x[i]);                                                                                \
        }                                                                                                             \
      }                                                                                                               \
    }                                                                                                                 \
    lanes_type total = sums[0];                                                                                       \
    UNROLL                                                                                                            \
    for (int i = 1; i < PEAK_SUMS; i++) total += sums[i];                                                             \
    peak_conceal(&total);                                                                                             \
    return iterations * PEAK_SUMS * 16 * (width) * 2;                                                                 \
  }

#if HAS_BYTES_MATRIX
INLINE lanes_i peak_matrix_dot(lanes_i acc, lanes_u w, uint32_t x) {
  lanes_u inputs = x;
  return bytes_matrix_dot(acc, w, (lanes_b)inputs.lo.lo);
}

DEFINE_DOT_PEAK(peak_int8, lanes_i, peak_matrix_dot, 8, 0x01010101, 0xff01ff01)
#define PEAK_INT8 peak_int8
#elif HAS_BYTES_DOT
DEFINE_DOT_PEAK(peak_int8, lanes_i, bytes_dot_small, 4, 0x01010101, 0xff01ff01)
#define PEAK_INT8 peak_int8
#else
#define PEAK_INT8 NULL
#endif

#if HAS_BFLOAT_DOT
DEFINE_DOT_PEAK(peak_bfloat16, lanes, lanes_dot_bfloats, 2, 0x3f803f80, 0xbf803f80)
#define PEAK_BFLOAT16 peak_bfloat16
#else
#define PEAK_BFLOAT16 NULL
#endif
