// What stands between the matrices of a feed-forward: gates and their bounds.

INLINE lanes silu(lanes x) { return x / (1.0f + lanes_exp(-x)); }

/// x / 2 (1 + tanh(y)) is x sigmoid(2y), here with y = sqrt(2 / pi) (x + 0.044715 x^3).
INLINE lanes gelu_tanh(lanes x) {
  lanes y = lanes_fma(x * x * x, (lanes)0.044715f, x) * 1.5957691216f;
  return x / (1.0f + lanes_exp(-y));
}

/// x times the normal distribution function, which is erfc(-x / sqrt(2)) / 2.
///
/// With t = 1 / (1 + 0.425 z), erfc(z) exp(z^2) is a polynomial in t for all z >= 0, to 1.2e-7 of its value (minimax
/// coefficients, fitted for this file).
INLINE lanes gelu_erf(lanes x) {
  lanes z = __builtin_elementwise_abs(x) * 0.70710678f;
  lanes t = 1.0f / lanes_fma(z, (lanes)0.425f, (lanes)1.0f);
  lanes y = lanes_fma((lanes)0.072183324f, t, (lanes)-0.31609474f);
  y = lanes_fma(y, t, (lanes)0.41268043f);
  y = lanes_fma(y, t, (lanes)-0.10791220f);
  y = lanes_fma(y, t, (lanes)0.25755391f);
  y = lanes_fma(y, t, (lanes)0.19995769f);
  y = lanes_fma(y, t, (lanes)0.24196067f);
  y = lanes_fma(y, t, (lanes)0.23967079f);
  lanes half = 0.5f * t * y * lanes_exp(-(z * z));
  return x * lanes_select(x < 0, half, 1.0f - half);
}

INLINE lanes sigmoid(lanes x) { return 1.0f / (1.0f + lanes_exp(-x)); }

/// out = activation(gate) * up; without up the activation alone.
INLINE void activate(lanes (*activation)(lanes), const float *gate, const float *up, float *out, int n) {
  int i = 0;
  for (; i + 16 <= n; i += 16) {
    lanes y = activation(lanes_load(gate + i));
    lanes_store(out + i, up ? y * lanes_load(up + i) : y);
  }
  if (i == n) return;
  lanes y = activation(lanes_load_first(gate + i, n - i));
  lanes_store_first(out + i, up ? y * lanes_load_first(up + i, n - i) : y, n - i);
}

static void silu_multiply(const float *gate, const float *up, float *out, int n) { activate(silu, gate, up, out, n); }

static void gelu_tanh_multiply(const float *gate, const float *up, float *out, int n) {
  activate(gelu_tanh, gate, up, out, n);
}

static void gelu_erf_multiply(const float *gate, const float *up, float *out, int n) {
  activate(gelu_erf, gate, up, out, n);
}

static void sigmoid_multiply(const float *gate, const float *up, float *out, int n) {
  activate(sigmoid, gate, up, out, n);
}

static void clamped_silu_multiply(const float *gate, const float *up, float *out, int n) {
  for (int i = 0; i < n; i += 16) {
    lanes g = lanes_min(load_row(gate + i, n - i), (lanes)7.0f);
    lanes u = lanes_max(lanes_min(load_row(up + i, n - i), (lanes)7.0f), (lanes)-7.0f);
    store_row(out + i, g * sigmoid(1.702f * g) * (u + 1.0f), n - i);
  }
}

static void soft_cap(float *x, float cap, int n) {
  for (int i = 0; i < n; i += 16) store_row(x + i, lanes_soft_cap(load_row(x + i, n - i), cap), n - i);
}
