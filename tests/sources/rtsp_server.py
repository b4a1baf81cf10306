# mypy: ignore-errors
"""An RTSP camera for tests, run by the system's Python (which has GStreamer's bindings), not by the project's.

    /usr/bin/python3 rtsp_server.py PORT [pattern|FILE] [WIDTHxHEIGHT] [RATE]

Serves ``rtsp://127.0.0.1:PORT/live`` and prints ``ready`` once it listens. Commands on standard input:
``freeze`` keeps the connection and sends no more pictures, ``thaw`` goes on; it ends at end of input.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def launch_line(what, size, rate):
    if what != "pattern":
        return f"( filesrc location={what} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"
    width, height = size.split("x")
    return (
        f"( videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},framerate={rate}/1"
        f" ! valve name=valve ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={rate} threads=1"
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )


def main():
    port = sys.argv[1]
    what, size, rate = (*sys.argv[2:], *("pattern", "320x180", "10")[len(sys.argv) - 2 :])
    Gst.init(None)
    loop = GLib.MainLoop()
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch_line(what, size, rate))
    factory.set_shared(True)
    valves = []
    factory.connect("media-configure", lambda _, media: valves.append(media.get_element().get_by_name("valve")))
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"port {port} cannot be used")

    def command(channel, condition):
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        for valve in filter(None, valves):
            valve.set_property("drop", line.strip() == "freeze")
        return True

    GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, command)
    print("ready", flush=True)  # noqa: T201
    loop.run()


if __name__ == "__main__":
    main()
