// exp of 16 lanes, shared by softmax, attention and SiLU.

/// e^x with a relative error below 2 ulp.
///
/// Below -87.33 (the smallest normal result) and at -inf the result is 0, above 88.37 it saturates at 2.4e38 so that no
/// infinity starts here; NaN stays NaN. The argument is reduced by multiples of ln 2, split so that the first product
/// is exact, and a polynomial of degree 6 covers [-ln 2 / 2, ln 2 / 2] (minimax coefficients, fitted for this file).
INLINE lanes lanes_exp(lanes x) {
  lanes_i underflow = x < -87.33f;
  lanes bounded = x > 88.37f ? (lanes)88.37f : x;
  bounded = bounded < -87.33f ? (lanes)-87.33f : bounded;
  lanes shifted = lanes_fma(bounded, (lanes)1.44269504f, (lanes)0x1.8p23f);
  lanes_i power = (lanes_i)(shifted) - (int32_t)0x4b400000;
  lanes n = shifted - 0x1.8p23f;
  lanes r = lanes_fma(n, (lanes)-0x1.62e4p-1f, bounded);
  r = lanes_fma(n, (lanes)-0x1.7f7d1cp-20f, r);
  lanes y = lanes_fma((lanes)0x1.6a234ap-10f, r, (lanes)0x1.123a6cp-7f);
  y = lanes_fma(y, r, (lanes)0x1.5558f4p-5f);
  y = lanes_fma(y, r, (lanes)0x1.55549p-3f);
  y = lanes_fma(y, r, (lanes)0x1.fffffcp-2f);
  y = lanes_fma(y, r * r, r) + 1.0f;
  lanes scale = lanes_of_bits((lanes_u)(power + 127) << 23);
  return lanes_select(underflow, (lanes)0.0f, y * scale);
}

/// cap * tanh(x / cap).
INLINE lanes lanes_soft_cap(lanes x, float cap) {
  return cap * (1.0f - 2.0f / (lanes_exp(x * (2.0f / cap)) + 1.0f));
}

/// e^x for x <= 0, as softmax needs it: a relative error below 2 ulp down to -20 and |x| / 10 ulp beyond.
///
/// 2^r comes from a polynomial of degree 5 on [-1/2, 1/2] (minimax coefficients, fitted for this file). Below -87, where
/// results would be denormal numbers, on which some CPUs take a hundred times as long, it is 0; NaN stays NaN.
INLINE lanes lanes_exp_weight(lanes x) {
#if HAS_POWER_SCALE
  lanes bounded = lanes_max((lanes)-87.0f, x);
  lanes n = lanes_nearest(bounded * 1.44269504f);
  lanes r = lanes_fma(bounded, (lanes)1.44269504f, -n);
  lanes y = lanes_fma((lanes)0x1.5bba12p-10f, r, (lanes)0x1.3cea88p-7f);
  y = lanes_fma(y, r, (lanes)0x1.c6b752p-5f);
  y = lanes_fma(y, r, (lanes)0x1.ebf9bcp-3f);
  y = lanes_fma(y, r, (lanes)0x1.62e42ap-1f);
  return lanes_select(x < -87.0f, (lanes)0.0f, lanes_scale_power(lanes_fma(y, r, (lanes)1.0f), n));
#else
  return lanes_exp(x);
#endif
}
