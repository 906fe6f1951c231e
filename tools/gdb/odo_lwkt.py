# SPDX-License-Identifier: BSD-3-Clause
"""gdb commands for lwkt threads, of a live process or of a core.

    (gdb) source tools/gdb/odo_lwkt.py
    (gdb) odo-cpus
    (gdb) odo-threads
    (gdb) odo-bt NAME | ADDRESS

They look for the machine where the host ground keeps it for each host thread,
and in frames; `odo-system EXPRESSION` names a System or Cpu where that finds
nothing.
"""

import gdb  # type: ignore[import-not-found]

_DEPTH = 64


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
        chosen = gdb.selected_thread()
        try:
            for thread in gdb.selected_inferior().threads():
                thread.switch()
                found = cls._of_host_thread() or cls._in_frames()
                if found is not None:
                    return found
        finally:
            if chosen is not None:
                chosen.switch()
        return None

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


class OdoBacktrace(gdb.Command):
    """odo-bt NAME|ADDRESS: the backtrace of a thread that does not run."""

    def __init__(self):
        super().__init__("odo-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        found = [thread for cpu in _Machine.cpus() for thread in _threads(cpu)
                 if argument in (_name(thread), f"{int(thread.address):#x}")]
        if not found:
            raise gdb.GdbError(f"no lwkt thread {argument!r}; odo-threads "
                               "lists them")
        thread = found[0]
        if _place(thread) == "running":
            raise gdb.GdbError(f"{argument} runs: use bt on its host thread")
        context = thread["context_"]
        if gdb.selected_inferior().pid and self._through_registers(context):
            return
        self._by_frame_pointers(context)

    @staticmethod
    def _through_registers(context):
        """gdb's own backtrace, with the thread's registers lent to it."""
        gdb.newest_frame().select()
        lent = (("$rsp", "stack_pointer"), ("$rbp", "frame_pointer"),
                ("$rip", "resume_at"))
        kept = {name: int(gdb.parse_and_eval(f"(unsigned long){name}"))
                for name, _ in lent}
        try:
            for name, field in lent:
                gdb.execute(f"set {name} = {int(context[field]):#x}",
                            to_string=True)
            gdb.execute("bt")
            return True
        except gdb.error:
            return False  # a core: its registers can't be lent
        finally:
            for name, value in kept.items():
                try:
                    gdb.execute(f"set {name} = {value:#x}", to_string=True)
                except gdb.error as error:
                    if gdb.selected_inferior().was_attached or value != int(
                            gdb.parse_and_eval(f"(unsigned long){name}")):
                        print(f"{name} was not restored to {value:#x}: "
                              f"{error}")

    @staticmethod
    def _by_frame_pointers(context):
        word = gdb.lookup_type("unsigned long").pointer()
        address = int(context["resume_at"])
        frame = int(context["frame_pointer"])
        for number in range(_DEPTH):
            print(f"#{number} {address:#x} in {_symbol(address)}")
            if frame == 0:
                return
            try:
                slots = gdb.Value(frame).cast(word)
                older, address = int(slots[0]), int(slots[1])
            except gdb.error:
                return
            if address == 0 or older != 0 and older <= frame:
                return
            frame = older


OdoSystem()
OdoCpus()
OdoThreads()
OdoBacktrace()
