// What layers with a recurrent state do: a short convolution along the text, and the gated delta rule.

/// The input of a channel panel `back` tokens before token `t`, from the history where that is before the first one.
INLINE lanes convolution_input(const sluice_convolution *c, int t, int back, int channel, int count) {
  const float *row = t >= back ? c->input + (t - back) * c->input_stride
                               : c->history + (ptrdiff_t)(c->span - 1 + t - back) * c->channels;
  return load_row(row + channel, count);
}

static void convolve(const sluice_convolution *c, int first_channel, int last_channel) {
  for (int channel = first_channel; channel < last_channel; channel += PANEL) {
    int count = last_channel - channel;
    for (int t = 0; t < c->tokens; t++) {
      lanes sum = c->bias ? load_row(c->bias + channel, count) : (lanes)0.0f;
      for (int back = c->span - 1; back >= 0; back--) {
        const float *weights = c->weights + (ptrdiff_t)(c->span - 1 - back) * c->channels;
        sum = lanes_fma(load_row(weights + channel, count), convolution_input(c, t, back, channel, count), sum);
      }
      store_row(c->out + t * c->out_stride + channel, c->has_silu ? silu(sum) : sum, count);
    }
    // From the oldest on: what is overwritten is not read again.
    for (int i = 0; i < c->span - 1; i++) {
      lanes kept = convolution_input(c, c->tokens - 1, c->span - 2 - i, channel, count);
      store_row(c->history + (ptrdiff_t)i * c->channels + channel, kept, count);
    }
  }
}

static void delta_rule(const sluice_delta_rule *d) {
  for (int first = 0; first < d->value_dim; first += PANEL) {
    int count = d->value_dim - first;
    for (int t = 0; t < d->tokens; t++) {
      const float *query = d->queries + t * d->stride, *key = d->keys + t * d->stride;
      float decay = d->decays[t * d->gate_stride], beta = d->betas[t * d->gate_stride];
      lanes known = 0, answer = 0;
      for (int i = 0; i < d->key_dim; i++) {
        float *row = d->state + (ptrdiff_t)i * d->value_dim + first;
        lanes faded = load_row(row, count) * decay;
        store_row(row, faded, count);
        known = lanes_fma(faded, (lanes)key[i], known);
      }
      lanes change = (load_row(d->values + t * d->stride + first, count) - known) * beta;
      for (int i = 0; i < d->key_dim; i++) {
        float *row = d->state + (ptrdiff_t)i * d->value_dim + first;
        lanes renewed = lanes_fma(change, (lanes)key[i], load_row(row, count));
        store_row(row, renewed, count);
        answer = lanes_fma(renewed, (lanes)query[i], answer);
      }
      store_row(d->out + t * d->out_stride + first, answer, count);
    }
  }
}
