// Norms, activations, softmax and rotation.

static void quantize(const float *x, int columns, int8_t *quants, float *scales, int32_t *sums) {
  for (int b = 0; b < columns / BLOCK; b++, x += BLOCK, quants += BLOCK) {
    lanes low = lanes_load(x), high = lanes_load(x + 16);
    float largest = lanes_largest(lanes_max(__builtin_elementwise_abs(low), __builtin_elementwise_abs(high)));
    // Below 2^-120 the reciprocal would overflow; such a block is zero for every purpose.
    float inverse = largest > 0x1p-120f ? 127.0f / largest : 0.0f;
    lanes_i quants_low = lanes_round(low * inverse), quants_high = lanes_round(high * inverse);
    lanes_b bytes_low = __builtin_convertvector(quants_low, lanes_b);
    lanes_b bytes_high = __builtin_convertvector(quants_high, lanes_b);
    memcpy(quants, &bytes_low, sizeof bytes_low);
    memcpy(quants + 16, &bytes_high, sizeof bytes_high);
    scales[b] = inverse > 0 ? largest / 127.0f : 0.0f;
    sums[2 * b] = __builtin_reduce_add(quants_low);
    sums[2 * b + 1] = __builtin_reduce_add(quants_low + quants_high);
  }
}

static void rms_norm(const float *x, const float *weight, float *out, int n, float epsilon) {
  // Doubles across blocks of lanes: long rows lose nothing. Values are taken to be below 1e18, whose squares still fit.
  double sum = 0;
  int i = 0;
  for (; i + 64 <= n; i += 64) {
    lanes a = lanes_load(x + i), b = lanes_load(x + i + 16), c = lanes_load(x + i + 32), d = lanes_load(x + i + 48);
    sum += lanes_sum(lanes_fma(a, a, b * b) + lanes_fma(c, c, d * d));
  }
  for (; i < n; i += 16) {
    lanes a = lanes_load_first(x + i, n - i < 16 ? n - i : 16);
    sum += lanes_sum(a * a);
  }
  float inverse = (float)(1.0 / sqrt(sum / n + (double)epsilon));
  for (i = 0; i + 16 <= n; i += 16) {
    lanes y = lanes_load(x + i) * inverse;
    lanes_store(out + i, weight ? y * lanes_load(weight + i) : y);
  }
  for (; i < n; i++) out[i] = weight ? x[i] * inverse * weight[i] : x[i] * inverse;
}

/// At most 16 values, those past the end zero.
INLINE lanes load_row(const float *p, int count) { return count >= 16 ? lanes_load(p) : lanes_load_first(p, count); }

INLINE void store_row(float *p, lanes x, int count) {
  if (count >= 16) lanes_store(p, x);
  else lanes_store_first(p, x, count);
}

static void layer_norm(const float *x, const float *weight, const float *bias, float *out, int n, float epsilon) {
  double sum = 0, squares = 0;
  for (int i = 0; i < n; i += 16) sum += lanes_sum(load_row(x + i, n - i));
  float mean = (float)(sum / n);
  for (int i = 0; i < n; i += 16) {
    lanes y = lanes_select(lanes_index() < n - i, load_row(x + i, n - i) - mean, (lanes)0.0f);
    squares += lanes_sum(y * y);
  }
  float inverse = (float)(1.0 / sqrt(squares / n + (double)epsilon));
  for (int i = 0; i < n; i += 16) {
    lanes y = (load_row(x + i, n - i) - mean) * inverse * load_row(weight + i, n - i);
    store_row(out + i, bias ? y + load_row(bias + i, n - i) : y, n - i);
  }
}

static void add(float *x, const float *y, int n) {
  int i = 0;
  for (; i + 16 <= n; i += 16) lanes_store(x + i, lanes_load(x + i) + lanes_load(y + i));
  for (; i < n; i++) x[i] += y[i];
}

static void scale(float *x, float s, int n) {
  int i = 0;
  for (; i + 16 <= n; i += 16) lanes_store(x + i, lanes_load(x + i) * s);
  for (; i < n; i++) x[i] *= s;
}

/// 16 values, those past the end -inf.
INLINE lanes load_logits(const float *x, int count) {
  if (count >= 16) return lanes_load(x);
  return lanes_select(lanes_index() < count, lanes_load_first(x, count), (lanes)-INFINITY);
}

static float largest_of(const float *x, int n) {
  lanes largest = -INFINITY;
  for (int i = 0; i < n; i += 16) largest = lanes_max(largest, load_logits(x + i, n - i));
  return lanes_largest(largest);
}

/// The sum of exp(x - largest), which also goes to `out` unless it is null.
INLINE double sum_of_exponentials(const float *x, int n, float largest, float *out) {
  double sum = 0;
  for (int first = 0; first < n; first += 1024) {
    int last = n - first < 1024 ? n : first + 1024;
    lanes part = 0;
    for (int i = first; i < last; i += 16) {
      lanes y = lanes_exp(load_logits(x + i, last - i) - largest);
      part += y;
      if (out && last - i >= 16) lanes_store(out + i, y);
      else if (out) lanes_store_first(out + i, y, last - i);
    }
    sum += lanes_sum(part);
  }
  return sum;
}

static float softmax(float *x, int n) {
  float largest = largest_of(x, n);
  if (largest == -INFINITY) {
    for (int i = 0; i < n; i++) x[i] = 0;
    return largest;
  }
  double sum = sum_of_exponentials(x, n, largest, x);
  scale(x, (float)(1 / sum), n);
  return largest + (float)log(sum);
}

static float log_sum_exp(const float *x, int n) {
  float largest = largest_of(x, n);
  if (largest == -INFINITY) return largest;
  return largest + (float)log(sum_of_exponentials(x, n, largest, 0));
}

static void rotate(const float *in, float *out, int heads, ptrdiff_t head_stride, int head_dim, int rotary_dim,
                   int interleaved, const float *cosine, const float *sine) {
  int half = rotary_dim / 2;
  for (int head = 0; head < heads; head++, in += head_stride, out += head_stride) {
    int i = 0;
    if (interleaved) {
      for (; i + 16 <= half; i += 16) {
        lanes low = lanes_load(in + 2 * i), high = lanes_load(in + 2 * i + 16);
        lanes a = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        lanes b = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        lanes c = lanes_load(cosine + i), s = lanes_load(sine + i);
        lanes x = a * c - b * s, y = a * s + b * c;
        lanes_store(out + 2 * i, __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
        lanes_store(out + 2 * i + 16,
                    __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
      }
      for (; i < half; i++) {
        float a = in[2 * i], b = in[2 * i + 1];
        out[2 * i] = a * cosine[i] - b * sine[i];
        out[2 * i + 1] = a * sine[i] + b * cosine[i];
      }
    } else {
      for (; i + 16 <= half; i += 16) {
        lanes a = lanes_load(in + i), b = lanes_load(in + half + i);
        lanes c = lanes_load(cosine + i), s = lanes_load(sine + i);
        lanes_store(out + i, a * c - b * s);
        lanes_store(out + half + i, a * s + b * c);
      }
      for (; i < half; i++) {
        float a = in[i], b = in[half + i];
        out[i] = a * cosine[i] - b * sine[i];
        out[half + i] = a * sine[i] + b * cosine[i];
      }
    }
    if (in != out)
      for (i = rotary_dim; i < head_dim; i++) out[i] = in[i];
  }
}
