#include "CKernels.h"
#include "panels.h"

typedef struct group {
  const struct sluice_kernels *kernels;
  const sluice_linear_segment *segments;
  int count;
  const sluice_activations *activations;
  int tokens, integer;
  size_t bytes;  // of all panels
} group;

/// The first panel of a segment that lies at or after byte `position` of the group, counted from the segment's start.
/// Even, so that pairs of panels which a tile computes together are not torn apart.
static int panel_at(ptrdiff_t position, int panels, size_t panel_bytes) {
  if (position <= 0) return 0;
  size_t panel = ((size_t)position + panel_bytes / 2) / panel_bytes / 2 * 2;
  return panel < (size_t)panels ? (int)panel : panels;
}

static void run_share(void *context, int thread, int threads) {
  const group *work = context;
  ptrdiff_t start = (ptrdiff_t)(work->bytes * (size_t)thread / (size_t)threads);
  ptrdiff_t end = (ptrdiff_t)(work->bytes * (size_t)(thread + 1) / (size_t)threads);
  for (int i = 0; i < work->count; i++) {
    const sluice_linear_segment *segment = &work->segments[i];
    size_t panel_bytes = panel_bytes_of(segment->type, segment->columns);
    int panels = (segment->rows + PANEL - 1) / PANEL;
    int first = panel_at(start, panels, panel_bytes);
    int last = thread == threads - 1 ? panels : panel_at(end, panels, panel_bytes);
    if (first < last)
      work->kernels->linear(segment, first, last, work->activations, 0, work->tokens, work->integer);
    start -= (ptrdiff_t)((size_t)panels * panel_bytes);
    end -= (ptrdiff_t)((size_t)panels * panel_bytes);
  }
}

void sluice_linear_group(sluice_team *team, const struct sluice_kernels *kernels,
                         const sluice_linear_segment *segments, int count, const sluice_activations *activations,
                         int tokens, int integer) {
  if (tokens <= 0) return;
  group work = {kernels, segments, count, activations, tokens, integer && activations->quants, 0};
  for (int i = 0; i < count; i++)
    work.bytes += (size_t)((segments[i].rows + PANEL - 1) / PANEL) *
                  panel_bytes_of(segments[i].type, segments[i].columns);
  if (team) sluice_team_run(team, run_share, &work);
  else run_share(&work, 0, 1);
}
