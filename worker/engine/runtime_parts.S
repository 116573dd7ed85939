/* The parts of the runtime, as runtime/build/build.mjs wrote them. */
        .section .rodata
        .global postern_parts_begin
        .global postern_parts_end
        .hidden postern_parts_begin
        .hidden postern_parts_end
postern_parts_begin:
        .incbin "parts.bin"
postern_parts_end:
        .section .note.GNU-stack, "", %progbits
