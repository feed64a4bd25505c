// A plugin of QEMU 7 and 8 that prints how many instructions were executed, when the program ends.
//
// What it needs of the plugin interface is declared here, since Debian ships no header of it.

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct qemu_plugin_tb;
typedef uint64_t plugin_id;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id id, struct qemu_plugin_tb *block));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *counter, uint64_t value);
extern void qemu_plugin_register_atexit_cb(plugin_id id, void (*callback)(plugin_id id, void *context), void *context);

int qemu_plugin_version = 1;
int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments);

static uint64_t instructions;

static void count_block(plugin_id id, struct qemu_plugin_tb *block) {
  enum { ADD = 0 };
  qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, &instructions, qemu_plugin_tb_n_insns(block));
}

static void print_count(plugin_id id, void *context) { fprintf(stderr, "%llu\n", (unsigned long long)instructions); }

int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments) {
  qemu_plugin_register_vcpu_tb_trans_cb(id, count_block);
  qemu_plugin_register_atexit_cb(id, print_count, NULL);
  return 0;
}
