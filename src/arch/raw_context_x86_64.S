// The context switch for x86-64, System V ABI. Contract: arch/raw_context.h.
//
// A saved context, from its stack pointer upward (8-byte words):
//     r15  r14  r13  r12  rbx  rbp  return address
// rbp and the return address lie like an ordinary frame's, so a frame-pointer walk works on it.
#if defined(__x86_64__)

    .text
    .globl  sluice_switch_context
    .type   sluice_switch_context, @function
    .p2align 4
sluice_switch_context:              // rdi: RawContext* from, rsi: RawContext to, rdx: argument
    .cfi_startproc
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp              // the same layout lies there: the CFI stays true
    movq    %rdx, %rax
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    // Leaving by `ret` would mispredict each time (the return stack holds the other context's
    // callers): 10-14 ns instead of 2.
    popq    %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    jmpq    *%rcx
    .cfi_endproc
    .size   sluice_switch_context, .-sluice_switch_context

// Where a new context starts: calls its entry function (rbx) with the switch's argument (rax).
    .globl  sluice_context_entry
    .type   sluice_context_entry, @function
    .p2align 4
sluice_context_entry:
    .cfi_startproc
    .cfi_undefined rip              // the end of every backtrace
    movq    %rax, %rdi
    callq   *%rbx
    ud2                             // an entry function must not return
    .cfi_endproc
    .size   sluice_context_entry, .-sluice_context_entry

#endif
    .section .note.GNU-stack,"",%progbits
