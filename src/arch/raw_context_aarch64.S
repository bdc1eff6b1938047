// The context switch for aarch64, AAPCS64. Contract: arch/raw_context.h.
//
// A saved context, from its stack pointer upward (8-byte words, 160 bytes):
//     x29 x30  x19 x20  x21 x22  x23 x24  x25 x26  x27 x28  d8 d9  d10 d11  d12 d13  d14 d15
// x29 and x30 come first, so that a frame-pointer walk works on it.
#if defined(__aarch64__)

    .text
    .globl  sluice_switch_context
    .type   sluice_switch_context, %function
    .p2align 4
sluice_switch_context:              // x0: RawContext* from, x1: RawContext to, x2: argument
    .cfi_startproc
    stp     x29, x30, [sp, #-160]!
    .cfi_adjust_cfa_offset 160
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     d8,  d9,  [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1                  // the same layout lies there: the CFI stays true
    mov     x0, x2
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     d8,  d9,  [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    ldp     x29, x30, [sp], #160
    .cfi_adjust_cfa_offset -160
    .cfi_restore x29
    .cfi_restore x30
    br      x30                     // not `ret`: the return predictor holds the other's callers
    .cfi_endproc
    .size   sluice_switch_context, .-sluice_switch_context

// Where a new context starts: calls its entry function (in x19) with the switch's argument (in x0).
    .globl  sluice_context_entry
    .type   sluice_context_entry, %function
    .p2align 4
sluice_context_entry:
    .cfi_startproc
    .cfi_undefined x30              // the end of every backtrace
    blr     x19
    brk     #1                      // an entry function must not return
    .cfi_endproc
    .size   sluice_context_entry, .-sluice_context_entry

#endif
    .section .note.GNU-stack,"",%progbits
