"""gdb commands for the fibers of a process that runs on Sluice's runtime, or of its core file.

    gdb -p PID -x tools/gdb/sluice.py
    (gdb) sluice fibers         every fiber: id, name, state, what it waits for, where
    (gdb) sluice backtrace 12   the frames of one that is not running (running ones: `thread`, `bt`)

Reads the symbol `sluice_debugger_view` (src/rt/debugger_view.h), so it needs no type information;
a program that was stripped of its symbols cannot be read.
"""

import struct

import gdb

FRAMES_MAX = 64
VERSION = 1
FIELDS = (
    "version slots_per_chunk colours colour_bytes fiber_bytes id name state wait_reason wait_object"
    " context saved_pc saved_frame state_names reason_names"
).split()
ARENAS_MAX = 24


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address):
    return struct.unpack("<Q", read(address, 8))[0]


def text(address):
    return gdb.Value(address).cast(gdb.lookup_type("char").pointer()).string() if address else ""


class Fiber:
    def __init__(self, view, address, lower):
        def at(field):
            return address + view[field]

        self.id = word(at("id"))
        self.name = text(word(at("name")))
        self.state = read(at("state"), 1)[0]
        self.state_name = text(word(view["state_names"] + 8 * self.state))
        self.reason = text(word(view["reason_names"] + 8 * read(at("wait_reason"), 1)[0]))
        self.object = word(at("wait_object"))
        self.context = word(at("context"))
        self.view, self.lower, self.upper = view, lower, address

    def frames(self):
        """Return addresses, the innermost first; none of a running fiber."""
        if self.state_name == "running" or not self.lower <= self.context < self.upper:
            return
        pc = word(self.context + self.view["saved_pc"])
        frame = word(self.context + self.view["saved_frame"])
        for _ in range(FRAMES_MAX):
            if pc == 0:
                return
            yield pc
            if not self.lower <= frame <= self.upper - 16:
                return
            caller, pc = word(frame), word(frame + 8)
            if caller and caller <= frame:
                return
            frame = caller

    def title(self):
        wait = ""
        if self.state_name == "waiting":
            wait = ": " + self.reason + (f" {self.object:#x}" if self.object else "")
        return f'fiber {self.id} "{self.name}" {self.state_name}{wait}'


def symbol(address):
    line = gdb.execute(f"info symbol {address:#x}", to_string=True).strip()
    found = gdb.find_pc_line(address)
    place = f" at {found.symtab.filename}:{found.line}" if found.symtab else ""
    return line.split(" in section")[0] + place


def load_view():
    base = gdb.lookup_static_symbol("sluice_debugger_view")
    start = int(base.value().address) if base else int(
        gdb.parse_and_eval("(long)&sluice_debugger_view"))
    view = {field: word(start + 8 * i) for i, field in enumerate(FIELDS)}
    if view["version"] != VERSION:
        raise gdb.GdbError(f"layout {view['version']}; this script knows {VERSION}")
    first = start + 8 * len(FIELDS)
    view["arenas"] = [a for i in range(ARENAS_MAX) if (a := word(first + 8 * i))]
    return view


def fibers():
    view = load_view()
    for arena in view["arenas"]:
        chunks, slots, slot_bytes = word(arena), word(word(arena + 8)), word(arena + 16)
        for index in range(slots):
            chunk = word(chunks + 8 * (index // view["slots_per_chunk"]))
            lower = chunk + index % view["slots_per_chunk"] * slot_bytes
            colour = index % view["colours"] * view["colour_bytes"]
            fiber = Fiber(view, lower + slot_bytes - colour - view["fiber_bytes"], lower)
            if fiber.state_name != "free":
                yield fiber


class Sluice(gdb.Command):
    """Commands for Sluice's fibers: sluice fibers, sluice backtrace ID."""

    def __init__(self):
        super().__init__("sluice", gdb.COMMAND_STACK, prefix=True)


class ListFibers(gdb.Command):
    """List every fiber: id, name, state, what it waits for, and the innermost frames."""

    def __init__(self):
        super().__init__("sluice fibers", gdb.COMMAND_STACK)

    def invoke(self, _argument, _from_tty):
        for fiber in fibers():
            print(fiber.title())
            for address in list(fiber.frames())[:3]:
                print("    " + symbol(address))


class Backtrace(gdb.Command):
    """sluice backtrace ID: the frames of a fiber that is not running."""

    def __init__(self):
        super().__init__("sluice backtrace", gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        for fiber in fibers():
            if str(fiber.id) != argument.strip():
                continue
            print(fiber.title())
            for number, address in enumerate(fiber.frames()):
                print(f"#{number:<2} {symbol(address)}")
            return
        raise gdb.GdbError(f"no fiber {argument}")


Sluice()
ListFibers()
Backtrace()
