#pragma once
// The CPU kernels of Sluice. Everything that multiplies is a panel of 16 rows: one 512-bit vector serves 16 outputs,
// there are no horizontal sums, and a matrix is one linear stream of the same size as in its file.
//
// Panel layouts (rows side by side, columns advancing; the last panel of a matrix is zero padded):
//   F32   each column: 16 floats
//   F16   each column: 16 halves
//   BF16  each pair of columns: 16 x (even, odd); an odd last column is paired with zeros
// Quantised types take exactly the bytes of 16 GGUF rows. A group of columns that share half-precision scales (32, or
// 256 for the K types and IQ4_XS) is
//   16 x d, and 16 x m or dmin where the type has it, as halves
//   bytes that all parts share, 16 x each in the row's order: the exponent of MXFP4, which has no half; for IQ4_XS,
//         whose scales have six bits, two bytes with the upper bits of four parts each and four with the nibbles of two each
//   where the K types' scales have six bits: 4 x 16 bytes; byte `lane` of vector p / 2 holds, in nibble p % 2, the
//         upper two bits of both numbers of part p
//   each part p of 32 columns: for the K types its two small numbers (scale and minimum, or the scales of 16 columns
//         each), 16 x (low nibbles of both), for Q6_K 16 + 16 bytes, for Q2_K 16 + 16 pairs of nibbles; then the quants
// Quants of b bits are kept in planes whose widths are the powers of two in b, the widest plane first and with the
// lowest bits (5 = 4 + 1, 6 = 4 + 2, 3 = 2 + 1). A plane of w bits is w vectors of 64 bytes; vector v holds, from its
// bit w * f of each byte on, quad w * f + v, where quad q is columns 4q to 4q + 3 of 16 rows. One shift, one AND and
// one OR a plane give a quad.

#include <stddef.h>
#include <stdint.h>

/// Element types, numbered as in GGUF.
typedef enum sluice_type {
  SLUICE_F32 = 0,
  SLUICE_F16 = 1,
  SLUICE_Q4_0 = 2,
  SLUICE_Q4_1 = 3,
  SLUICE_Q5_0 = 6,
  SLUICE_Q5_1 = 7,
  SLUICE_Q8_0 = 8,
  SLUICE_Q2_K = 10,
  SLUICE_Q3_K = 11,
  SLUICE_Q4_K = 12,
  SLUICE_Q5_K = 13,
  SLUICE_Q6_K = 14,
  SLUICE_IQ4_NL = 20,
  SLUICE_IQ4_XS = 23,
  SLUICE_BF16 = 30,
  SLUICE_MXFP4 = 39,
} sluice_type;

enum { SLUICE_PANEL_ROWS = 16, SLUICE_BLOCK_COLUMNS = 32 };

/// Bytes of one GGUF row; 0 for an unknown type.
size_t sluice_row_bytes(sluice_type type, int columns);
/// Bytes of one panel of 16 rows; 0 for an unknown type.
size_t sluice_panel_bytes(sluice_type type, int columns);
/// Packs `row_count` (1...16) consecutive GGUF rows into a panel; missing rows become zeros.
void sluice_pack_panel(sluice_type type, const void *rows, int row_count, int columns, void *panel);
/// Reads row `lane` (0..<16) of a panel back as floats.
void sluice_unpack_row(sluice_type type, const void *panel, int lane, int columns, float *out);

/// Rows of activations, as floats and, for int8 arithmetic, quantised per 32 columns.
typedef struct sluice_activations {
  const float *values;  // [token, columns], `stride` floats between tokens
  ptrdiff_t stride;
  const int8_t *quants;  // [token, columns]; null in float mode, as scales and sums
  const float *scales;   // [token, columns / 32]
  const int32_t *sums;   // [token, columns / 32, 2], the sums of each block's first 16 and of all its quants
  int columns;
} sluice_activations;

/// One matrix of a group that shares its input (query, key, value; gate, up).
typedef struct sluice_linear_segment {
  sluice_type type;
  int rows, columns;
  const uint8_t *panels;
  float *out;  // [token, rows], `out_stride` floats between tokens
  ptrdiff_t out_stride;
  int accumulate;  // 1 adds to `out`, 0 replaces it
} sluice_linear_segment;

/// Attention of query rows to a run of slots of one KV head, continuing a running partial.
///
/// Rows are tokens x heads of the group, token-major. Quantised keys meet queries quantised to int8 per 32 dims, as
/// activations are. Where several heads share a key and the CPU multiplies 16-bit numbers faster, queries, weights and
/// slots of 16 bits are rounded about as finely as the slots' type; all else is float32. A row that sees no slot of the
/// run stays bit-identical.
typedef struct sluice_attention {
  sluice_type type;
  int head_dim;
  const void *keys, *values;  // slot 0 of the stage: key panels of 16 slots; one GGUF row of values a slot
  int first_slot, last_slot;  // the run [first, last), any alignment
  float soft_cap;             // c where a logit x becomes c tanh(x / c); 0 = none
  const float *log_weights;   // [slot], added to the logit, after the cap; null = none
  ptrdiff_t log_weight_stride;  // 0, or where log weights are [row, slot], floats between rows
  int rows, rows_per_token;
  const float *queries;  // [row, head_dim], rotated and scaled by 1 / sqrt(head_dim)
  ptrdiff_t query_stride, out_stride;
  const int32_t *visible_first, *visible_last;  // [token], slots [first, last) that this token sees; null = whole run
  float *max, *sum, *out;                       // [row], [row], [row, head_dim]; (-inf, 0, 0) is the empty partial
  float *scratch;                               // sluice_attention_scratch(rows, head_dim) floats
  float *kept;  // sluice_attention_kept(rows, slots of the run) floats in which weights are left; null = none
  int keeps_halves;  // 1: kept weights are rounded to halves and fill half of that
} sluice_attention;

/// A causal convolution along the text, each channel by itself: out[t] = sum over i of weights[i] * input[t - span + 1 + i].
typedef struct sluice_convolution {
  int tokens, channels, span;
  int has_silu;          // 1: x sigmoid(x) of the sum
  const float *input;    // [token, channel]
  const float *weights;  // [span, channel], the newest token's last
  const float *bias;     // [channel]; null = none
  float *history;        // [span - 1, channel], inputs before the first token, oldest first
  float *out;            // [token, channel], not the input
  ptrdiff_t input_stride, out_stride;
} sluice_convolution;

/// The gated delta rule for one head: token by token S *= decay, S += key x beta (value - S^T key), out = S^T query.
typedef struct sluice_delta_rule {
  int tokens, key_dim, value_dim;
  const float *queries, *keys, *values;  // of the head's first token, `stride` floats between tokens
  const float *decays, *betas;           // of the head's first token, `gate_stride` floats between tokens
  float *state;                          // S, [key_dim, value_dim]
  float *out;                            // of the head's first token, `out_stride` floats between tokens
  ptrdiff_t stride, gate_stride, out_stride;
} sluice_delta_rule;

/// Floats of scratch that one `attend` call with so many rows needs.
size_t sluice_attention_scratch(int rows, int head_dim);
/// Floats in which one `attend` call leaves its weights: for each step of its walk those of all rows and 64 slots, and
/// the maxima that they are relative to.
size_t sluice_attention_kept(int rows, int slots);

/// The kernels of one instruction set. No kernel allocates; results do not depend on the number of threads, nor on how
/// tokens or rows are split into calls.
struct sluice_kernels {
  const char *name;
  /// Panels [first_panel, last_panel) of one segment for tokens [first_token, last_token). `integer` = 1: int8
  /// activations for quantised types and bf16 products for BF16 where the CPU has them; 0: float32 throughout.
  void (*linear)(const sluice_linear_segment *segment, int first_panel, int last_panel,
                 const sluice_activations *activations, int first_token, int last_token, int integer);
  /// Quantises `columns` (a multiple of 32) values: x is about scale * quant, quants in -127...127.
  void (*quantize)(const float *x, int columns, int8_t *quants, float *scales, int32_t *sums);
  /// x / sqrt(mean(x^2) + epsilon) * weight; weight may be null.
  void (*rms_norm)(const float *x, const float *weight, float *out, int n, float epsilon);
  /// (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias; bias may be null.
  void (*layer_norm)(const float *x, const float *weight, const float *bias, float *out, int n, float epsilon);
  /// silu(gate) * up; up may be null, here and below.
  void (*silu_multiply)(const float *gate, const float *up, float *out, int n);
  /// GELU by the hyperbolic tangent, as Gemma has it, * up.
  void (*gelu_tanh_multiply)(const float *gate, const float *up, float *out, int n);
  /// GELU by the error function, as it was published, * up.
  void (*gelu_erf_multiply)(const float *gate, const float *up, float *out, int n);
  /// sigmoid(gate) * up.
  void (*sigmoid_multiply)(const float *gate, const float *up, float *out, int n);
  /// g sigmoid(1.702 g) (u + 1) with g = min(gate, 7) and u = up within -7...7, as gpt-oss has it; up is not null.
  void (*clamped_silu_multiply)(const float *gate, const float *up, float *out, int n);
  /// x = cap * tanh(x / cap).
  void (*soft_cap)(float *x, float cap, int n);
  void (*add)(float *x, const float *y, int n);
  void (*scale)(float *x, float s, int n);
  /// In place; returns the log-sum-exp. All -inf gives zeros and -inf.
  float (*softmax)(float *x, int n);
  float (*log_sum_exp)(const float *x, int n);
  /// Rotates pairs (i, i + rotary_dim / 2), or (2i, 2i + 1) when interleaved, of each head by the angle whose cosine
  /// and sine are given ([rotary_dim / 2]); dims beyond rotary_dim are copied. `in` == `out` is allowed.
  void (*rotate)(const float *in, float *out, int heads, ptrdiff_t head_stride, int head_dim, int rotary_dim,
                 int interleaved, const float *cosine, const float *sine);
  /// Slots of a KV stage: keys in panels of 16 slots (columns = head_dim), values one GGUF row a slot. Beside values of
  /// Q4_1 stand keys of Q8_0.
  void (*write_key)(sluice_type type, int head_dim, const float *key, void *keys, int slot);
  void (*write_value)(sluice_type type, int head_dim, const float *value, void *values, int slot);
  void (*read_key)(sluice_type type, int head_dim, const void *keys, int slot, float *out);
  void (*read_value)(sluice_type type, int head_dim, const void *values, int slot, float *out);
  void (*attend)(const sluice_attention *attention);
  /// Adds to sums[slot] the probabilities that the rows give the run's slots, exp(logit - max[row]) / sum[row], each
  /// times its row weight (null = 1). `max` and `sum` are the rows' final ones over all that they see; `values`, `max`,
  /// `sum` and `out` of the attention are not used. Rows of sum 0 add nothing; slots outside the run are not touched.
  /// A row of head h of its token adds to sums[h * head_stride + slot].
  void (*column_sums)(const sluice_attention *attention, const float *max, const float *sum, const float *row_weights,
                      float *sums, ptrdiff_t head_stride);
  /// As column_sums, from what `attend` has left in `kept` for the same run, rows and visibility, without the keys.
  void (*kept_column_sums)(const sluice_attention *attention, const float *max, const float *sum,
                           const float *row_weights, float *sums, ptrdiff_t head_stride);
  /// Convolves channels [first, last), `first` a multiple of 16, and leaves the newest inputs in the history.
  void (*convolve)(const sluice_convolution *convolution, int first_channel, int last_channel);
  void (*delta_rule)(const sluice_delta_rule *rule);
  /// Takes a key into the bounds of its page, the smallest and largest of each dimension as halves rounded outward,
  /// [panel of 16 pages, dim, (smallest | largest), 16 pages]; the first key of a page forgets what was there.
  void (*widen_page)(int head_dim, const float *key, uint16_t *bounds, int page, int is_first);
  /// What no logit of a page exceeds, the sum over dims of max(q * smallest, q * largest), the largest over the rows;
  /// [page]. With slopes ([row]) a row's bound loses slope * distance of the page ([page]). Infinity
  /// where it is not a number. `next` are the bounds that will be asked for next, to be fetched meanwhile; or null.
  void (*bound_pages)(int head_dim, const uint16_t *bounds, const uint16_t *next, int pages, int rows,
                      const float *queries, ptrdiff_t query_stride, const float *slopes, const float *distances,
                      float *out);
  /// Squared distances of `key` from the keys of slots 0 to `slots` - 1; [slot]. With weights ([slot]) each is multiplied
  /// by weight * weights[slot] / (weight + weights[slot]). Infinity where it is not a number.
  void (*slot_distances)(sluice_type type, int head_dim, const void *keys, int slots, const float *key, float weight,
                         const float *weights, float *out);
  /// Lets `n` points know that point `index` has moved to these distances from them: where it is now nearer than the
  /// nearest one known, or as near and of a lower index, it becomes that; where it was the nearest and has gone farther,
  /// `nearest` becomes ~index, and `smallest`, which stays, is only a bound from below. Bounds are lowered likewise.
  void (*update_nearest)(int index, const float *distances, int n, float *smallest, int32_t *nearest);
  /// The index of the smallest of `n` numbers, the first where several are; 0 where none is below infinity.
  int (*first_smallest)(const float *x, int n);
  /// out[sum] = the sum over the `count` rows of a matrix of weights[sum][row] * matrix[row], for `sums` sums.
  void (*sum_rows)(int count, ptrdiff_t columns, const float *matrix, int sums, const float *weights,
                   ptrdiff_t weight_stride, float *out, ptrdiff_t out_stride);
  /// matrix[t] += weights[t] * row, for `count` rows of a matrix.
  void (*add_to_rows)(int count, ptrdiff_t columns, const float *row, const float *weights, float *matrix);
  /// Merges partial b into a; both are rows of (max, sum, out[head_dim]), rows contiguous.
  void (*merge)(int rows, int head_dim, float *max_a, float *sum_a, float *out_a, const float *max_b,
                const float *sum_b, const float *out_b);
  /// out /= sum; a sum of 0 gives zeros.
  void (*finish)(int rows, int head_dim, const float *sum, float *out);
  /// Multiplies in registers for so many rounds, as fast as one thread can, and returns the operations done, two for a
  /// multiplication with its addition; null where the CPU has no instruction for it.
  uint64_t (*peak_float32)(uint64_t iterations);
  uint64_t (*peak_bfloat16)(uint64_t iterations);
  uint64_t (*peak_int8)(uint64_t iterations);
};

/// The kernels of instruction set `index` (best first) that this CPU can run, or null past the last.
const struct sluice_kernels *sluice_kernels_available(int index);
/// What SLUICE_ISA asks for, or the best when it is unset; null when it names a set that this CPU or build lacks.
const struct sluice_kernels *sluice_kernels_selected(void);

/// A persistent team of threads for fork-join work; the caller is thread 0.
typedef struct sluice_team sluice_team;
/// `threads` includes the caller. Null when memory or threads run out.
sluice_team *sluice_team_create(int threads);
void sluice_team_destroy(sluice_team *team);
int sluice_team_threads(const sluice_team *team);
/// Runs `body` once for each thread index and returns when all are done. A call from inside a body of the same team
/// runs all indices on the calling thread; calls from different threads take turns.
void sluice_team_run(sluice_team *team, void (*body)(void *context, int thread, int threads), void *context);
/// Multiplies a group of segments that share their activations, split evenly by bytes over the team.
void sluice_linear_group(sluice_team *team, const struct sluice_kernels *kernels,
                         const sluice_linear_segment *segments, int count, const sluice_activations *activations,
                         int tokens, int integer);

/// Whether this CPU has an instruction for CRC-32C.
int sluice_has_crc32c(void);
/// CRC-32C of bytes by that instruction.
uint32_t sluice_crc32c(const void *bytes, size_t count);

/// Whether this CPU has instructions for SHA-256.
int sluice_has_sha256(void);
/// Takes whole blocks of 64 bytes into a SHA-256 state by those instructions.
void sluice_sha256(uint32_t state[8], const void *bytes, size_t blocks);
/// The same in plain C.
void sluice_sha256_portable(uint32_t state[8], const void *bytes, size_t blocks);

/// Resident memory of this process in bytes; 0 where unknown.
uint64_t sluice_resident_bytes(void);
/// CPUs that this process may use: affinity mask and cgroup quota, at least 1.
int sluice_available_cpus(void);

/// Has the CPU do nothing for some tens of nanoseconds `times` over, so that another thread of its core has it meanwhile.
void sluice_pause(int times);
