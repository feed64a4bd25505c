// The table of one instruction set: everything above it, compiled for the target at hand.
//
// Include with SLUICE_TABLE (the table's name) and SLUICE_NAME defined and the lanes included.

#include "attention.h"
#include "exponential.inc.h"
#include "blocks.inc.h"
#include "tiles.inc.h"
#if HAS_BYTES_MATRIX
#include "matrix_tiles.inc.h"
#endif
#include "expand.inc.h"
#include "linear.inc.h"
#include "elementwise.inc.h"
#include "activations.inc.h"
#include "slots.inc.h"
#include "attention.inc.h"
#include "attention_columns.inc.h"
#include "recurrent.inc.h"
#include "page_bounds.inc.h"
#include "slot_distances.inc.h"
#include "row_sums.inc.h"
#include "peaks.inc.h"

const struct sluice_kernels SLUICE_TABLE = {
    .name = SLUICE_NAME,
    .linear = linear,
    .quantize = quantize,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .silu_multiply = silu_multiply,
    .gelu_tanh_multiply = gelu_tanh_multiply,
    .gelu_erf_multiply = gelu_erf_multiply,
    .sigmoid_multiply = sigmoid_multiply,
    .clamped_silu_multiply = clamped_silu_multiply,
    .soft_cap = soft_cap,
    .add = add,
    .scale = scale,
    .softmax = softmax,
    .log_sum_exp = log_sum_exp,
    .rotate = rotate,
    .write_key = write_key,
    .write_value = write_value,
    .read_key = read_key,
    .read_value = read_value,
    .attend = attend,
    .column_sums = column_sums,
    .kept_column_sums = kept_column_sums,
    .convolve = convolve,
    .delta_rule = delta_rule,
    .widen_page = widen_page,
    .bound_pages = bound_pages,
    .slot_distances = slot_distances,
    .update_nearest = update_nearest,
    .first_smallest = first_smallest,
    .sum_rows = sum_rows,
    .add_to_rows = add_to_rows,
    .merge = merge,
    .finish = finish,
    .peak_float32 = peak_float32,
    .peak_bfloat16 = PEAK_BFLOAT16,
    .peak_int8 = PEAK_INT8,
};
