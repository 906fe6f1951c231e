# SPDX-License-Identifier: BSD-3-Clause
"""gdb commands for lwkt threads, of a live process, of a core, or of the kernel
in QEMU.

    (gdb) source tools/gdb/odo_lwkt.py
    (gdb) odo-cpus
    (gdb) odo-threads
    (gdb) odo-bt NAME | ADDRESS

They look for the machine where the kernel keeps it, where the host ground keeps
it for each host thread, and in frames; `odo-system EXPRESSION` names a System or
Cpu where that finds nothing. In the kernel each CPU is a thread of gdb's. Nothing
is written to the process. A thread on its way between two CPUs is in no list, and
not shown.

They read by name: System's count_ and cpus_; Cpu's index_, current_, counts_,
all_, dead_ and idle_; Thread's all_hook_, name_, place_, priority_, asleep_on_
and context_; Context's three; List's head_ and its hooks' next_.
"""

import contextlib
import re

import gdb  # type: ignore[import-not-found]
import gdb.unwinder  # type: ignore[import-not-found]

_DEPTH = 64
# Threads of one name that a message lists.
_NAMED = 8
_WORD = (1 << 64) - 1


@contextlib.contextmanager
def _chosen_frame():
    """What the user has selected is selected afterwards."""
    thread = gdb.selected_thread()
    if thread is None:
        raise gdb.GdbError("there is no process and no core")
    level = gdb.selected_frame().level()
    try:
        yield
    finally:
        thread.switch()
        gdb.execute(f"frame {level}", to_string=True)


class _Machine:
    """The CPUs, by index."""

    named = None  # what odo-system was given

    @classmethod
    def cpus(cls):
        system = cls._system()
        if system is None:
            raise gdb.GdbError("no lwkt machine in any frame; name one: "
                               "odo-system EXPRESSION")
        return [system["cpus_"][i] for i in range(int(system["count_"]))]

    @classmethod
    def _system(cls):
        if cls.named is not None:
            value = gdb.parse_and_eval(cls.named)
            if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
                value = value.dereference()
            return cls._of(value)
        found = cls._of_kernel()
        if found is not None:
            return found
        with _chosen_frame():
            for thread in gdb.selected_inferior().threads():
                thread.switch()
                found = cls._of_host_thread() or cls._in_frames()
                if found is not None:
                    return found
        return None

    @classmethod
    def _of_kernel(cls):
        """What kernel/x86_64/threads.cc keeps; null before there are threads."""
        try:
            found = gdb.parse_and_eval(
                "'odo::x86::(anonymous namespace)::threads'")
        except gdb.error:
            return None
        try:
            is_there = int(found) != 0
        except gdb.MemoryError:  # not even the kernel is there
            is_there = False
        if not is_there:
            raise gdb.GdbError("the kernel has no threads yet")
        return cls._of(found)

    @classmethod
    def _of_host_thread(cls):
        """What the host ground keeps for its handler of overflows."""
        try:
            return cls._of(gdb.parse_and_eval(
                "'odo::lwkt::OverflowWatch::cpu_'"))
        except gdb.error:
            return None

    @classmethod
    def _in_frames(cls):
        frame = gdb.newest_frame()
        for _ in range(_DEPTH):
            if frame is None:
                return None
            name = frame.name() or ""
            if "lwkt" in name:
                for variable in ("this", "here", "self"):
                    try:
                        found = cls._of(frame.read_var(variable))
                    except (ValueError, gdb.error):
                        continue
                    if found is not None:
                        return found
            try:
                frame = frame.older()
            except gdb.error:
                return None
        return None

    @classmethod
    def _of(cls, value):
        """The System behind a System or Cpu, or a pointer to one."""
        kind = value.type.strip_typedefs()
        if kind.code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF):
            if kind.code == gdb.TYPE_CODE_PTR and int(value) == 0:
                return None
            value = (value.dereference() if kind.code == gdb.TYPE_CODE_PTR
                     else value.referenced_value())
        name = str(value.type.unqualified().strip_typedefs())
        name = name.removeprefix("class ").removeprefix("struct ")
        if name.startswith("odo::lwkt::System<"):
            return value
        if name.startswith("odo::lwkt::HostSystem"):
            return value["system_"]
        if name.startswith("odo::lwkt::Cpu<"):
            return value["system_"].dereference()
        return None


def _threads(cpu):
    """Every thread of a CPU: the living, then the dead that wait for a join."""
    kind = cpu["idle_"].type
    offset = next(field.bitpos // 8 for field in kind.fields()
                  if field.name == "all_hook_")
    for name in ("all_", "dead_"):
        head = cpu[name]["head_"].address
        hook = head["next_"]
        seen = set()
        while int(hook) not in (0, int(head)):
            if int(hook) in seen:
                print(f"the list {name} runs in a circle; memory is damaged")
                break
            seen.add(int(hook))
            yield gdb.Value(int(hook) - offset).cast(
                kind.pointer()).dereference()
            hook = hook["next_"]


def _name(thread):
    return thread["name_"].string(errors="replace")


def _place(thread):
    return str(thread["place_"]).rsplit("::k", 1)[-1].lower()


def _symbol(address):
    text = gdb.execute(f"info symbol {address:#x}", to_string=True).strip()
    if text.startswith("No symbol"):
        return f"{address:#x}"
    return text.split(" in section ")[0].split(" + ")[0]


class OdoSystem(gdb.Command):
    """odo-system EXPRESSION: where the lwkt machine is."""

    def __init__(self):
        super().__init__("odo-system", gdb.COMMAND_STATUS)

    def invoke(self, argument, _from_tty):
        _Machine.named = argument or None


class OdoCpus(gdb.Command):
    """odo-cpus: each CPU with its current thread and what it counted."""

    def __init__(self):
        super().__init__("odo-cpus", gdb.COMMAND_STATUS)

    def invoke(self, _argument, _from_tty):
        for cpu in _Machine.cpus():
            counts = cpu["counts_"]
            print(f"cpu {int(cpu['index_'])}: "
                  f"{_name(cpu['current_'].dereference())}, "
                  f"{int(counts['switches'])} switches, "
                  f"{int(counts['preemptions'])} preemptions, "
                  f"{int(counts['idle_sleeps'])} idle sleeps")


class OdoThreads(gdb.Command):
    """odo-threads: every lwkt thread and where it is."""

    def __init__(self):
        super().__init__("odo-threads", gdb.COMMAND_STATUS)

    def invoke(self, _argument, _from_tty):
        for cpu in _Machine.cpus():
            for thread in _threads(cpu):
                line = (f"cpu {int(cpu['index_'])} {int(thread.address):#x} "
                        f"{_name(thread)} priority {int(thread['priority_'])} "
                        f"{_place(thread)}")
                if int(thread["asleep_on_"]) != 0:
                    line += f" on {int(thread['asleep_on_']):#x}"
                if _place(thread) not in ("running", "new"):
                    resume = int(thread["context_"]["resume_at"])
                    line += f" in {_symbol(resume)}"
                print(line)


class _FrameId:
    """What gdb tells frames apart by."""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class _ParkedUnwinder(gdb.unwinder.Unwinder):
    """Makes a parked thread the caller of the frame that the processor is in.

    gdb then goes on by its tables as from any frame. Nothing is written, so
    that it works on a core and leaves a live process as it is.
    """

    def __init__(self):
        super().__init__("odo-lwkt-parked")
        self._context = None
        self._at = None

    def __call__(self, pending):
        if self._context is None or self._at != self._place_of(pending):
            return None
        kind = pending.read_register("rsp").type
        sp = int(self._context["stack_pointer"])
        # Below the thread's frames, wherever it is: gdb takes callers that lie
        # below their callees for damage.
        info = pending.create_unwind_info(
            _FrameId(gdb.Value(sp - 16).cast(kind), pending.read_register("rip")))
        for register, field in (("rsp", "stack_pointer"),
                                ("rbp", "frame_pointer"),
                                ("rip", "resume_at")):
            value = gdb.Value(int(self._context[field]))
            info.add_saved_register(register, value.cast(
                pending.read_register(register).type))
        return info

    @staticmethod
    def _place_of(frame):
        return (int(frame.read_register("rip")) & _WORD,
                int(frame.read_register("rsp")) & _WORD)

    def backtrace(self, context):
        """The lines of gdb's backtrace of that thread."""
        with _chosen_frame():
            self._at = self._place_of(gdb.newest_frame())
            self._context = context
            try:
                gdb.invalidate_cached_frames()
                return self._cut(
                    gdb.execute("with width 0 -- bt -no-filters",
                                to_string=True), self._borrowed_frames())
            finally:
                self._context = None
                gdb.invalidate_cached_frames()

    def _borrowed_frames(self):
        """How many frames come before the thread's: the one, and inlined ones."""
        wanted = (int(self._context["resume_at"]),
                  int(self._context["stack_pointer"]))
        frame = gdb.newest_frame()
        for count in range(_DEPTH):
            if frame is None:
                break
            if self._place_of(frame) == wanted:
                return count
            frame = frame.older()
        raise gdb.GdbError("gdb does not find the thread's frames")

    @staticmethod
    def _cut(text, skip):
        lines = []
        number = -1
        for line in text.splitlines():
            found = re.match(r"#(\d+) +(.*)", line)
            if found:
                number = int(found[1]) - skip
                # The entry of a thread returns to nowhere.
                if re.match(r"0x0+ in \?\?", found[2]):
                    break
                line = f"#{number:<3}{found[2]}"
            if number >= 0:
                lines.append(line)
        return lines


class OdoBacktrace(gdb.Command):
    """odo-bt NAME|ADDRESS: the backtrace of a thread that does not run."""

    def __init__(self, unwinder):
        super().__init__("odo-bt", gdb.COMMAND_STACK)
        self._unwinder = unwinder

    def invoke(self, argument, _from_tty):
        thread = self._find(argument)
        if _place(thread) == "running":
            raise gdb.GdbError(f"{argument} runs: use bt on its host thread, "
                               "or on its CPU")
        context = thread["context_"]
        resume_at = int(context["resume_at"])
        if _has_not_run(resume_at):
            print(f"{argument} has not run yet; it begins in "
                  f"{_symbol(resume_at)}")
            return
        for line in self._unwinder.backtrace(context):
            print(line)

    @staticmethod
    def _find(argument):
        found = [thread for cpu in _Machine.cpus() for thread in _threads(cpu)
                 if argument in (_name(thread), f"{int(thread.address):#x}")]
        if not found:
            raise gdb.GdbError(f"no lwkt thread {argument!r}; odo-threads "
                               "lists them")
        if len(found) > 1:
            some = " ".join(f"{int(thread.address):#x}"
                            for thread in found[:_NAMED])
            raise gdb.GdbError(f"{len(found)} threads are called {argument!r}; "
                               f"name one by its address: {some}")
        return found[0]


def _has_not_run(resume_at):
    """A fresh context goes on where a function begins, others within one."""
    text = gdb.execute(f"info symbol {resume_at:#x}", to_string=True)
    return " + " not in text and not text.startswith("No symbol")


_UNWINDER = _ParkedUnwinder()
gdb.unwinder.register_unwinder(None, _UNWINDER, replace=True)
OdoSystem()
OdoCpus()
OdoThreads()
OdoBacktrace(_UNWINDER)
