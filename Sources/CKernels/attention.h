#pragma once
// The shape of attention's work, shared by all instruction sets.

enum {
  ATTENTION_ROWS = 96,  // query rows whose scores are held at once
  ATTENTION_SLOTS = 64  // slots of one step of the online softmax; runs are cut at multiples of it
};
