"""libvirt's own event loop, in a thread of this process. Owns starting it once."""

import threading

__all__ = ["run_event_loop"]

_event_loop_lock = threading.Lock()
_event_loop_runs = False


def run_event_loop() -> None:
    """Run libvirt's event loop in a thread, once per process. It must be registered before the first open."""
    global _event_loop_runs
    with _event_loop_lock:
        if _event_loop_runs:
            return
        import libvirt

        libvirt.virEventRegisterDefaultImpl()
        # Errors are raised as exceptions; libvirt's habit of printing them as well would double them in the log.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)

        def run() -> None:
            while True:
                libvirt.virEventRunDefaultImpl()

        threading.Thread(target=run, name="libvirt-events", daemon=True).start()
        _event_loop_runs = True
