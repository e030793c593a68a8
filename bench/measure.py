"""What processes use while they run, read from /proc: memory together and at its highest, and CPU time."""

import dataclasses
import os
import threading
import time

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL_S = 0.05


@dataclasses.dataclass
class Usage:
    wall_s: float
    cpu_s: float
    peak_mb: float

    def as_dict(self):
        return {"seconds": round(self.wall_s, 3), "cpu_s": round(self.cpu_s, 2), "peak_mb": round(self.peak_mb)}


def rss_mb(pid):
    """Resident memory of one process in MB; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * PAGE / 1e6
    except (OSError, IndexError):
        return 0.0


def cpu_s(pid):
    """CPU seconds of one process so far, user and system; none when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    except (OSError, IndexError):
        return None


class Sampler:
    """Watches processes from `with` to its end. What a process used before does not count."""

    def __init__(self, pids):
        self.samples = []  # (unix time in seconds, CPU seconds, MB), all processes together
        self._before = {pid: cpu_s(pid) or 0.0 for pid in pids}
        self._cpu = dict(self._before)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def add(self, pid):
        """A process that started since: all of its CPU time counts."""
        self._before[pid] = 0.0
        self._cpu[pid] = 0.0

    def __enter__(self):
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self):
        while not self._stop.wait(INTERVAL_S):
            self._look()

    def _look(self):
        for pid in list(self._cpu):
            used = cpu_s(pid)
            if used is not None:
                self._cpu[pid] = used
        cpu = sum(self._cpu.values()) - sum(self._before.values())
        self.samples.append((time.time(), cpu, sum(rss_mb(pid) for pid in list(self._cpu))))

    def usage(self, start=None, end=None):
        """From `start` to `end` (unix seconds), or over all samples."""
        start, end = start or self.samples[0][0], end or self.samples[-1][0]
        # The sample before the window and the one after it bound its CPU time.
        before = [s for s in self.samples if s[0] <= start] or self.samples[:1]
        after = [s for s in self.samples if s[0] >= end] or self.samples[-1:]
        inside = [s for s in self.samples if start <= s[0] <= end] or [after[0]]
        return Usage(end - start, after[0][1] - before[-1][1], max(s[2] for s in inside))
