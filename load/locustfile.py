"""What locust runs; ``load/run.py`` prepares the cycle, starts this and judges the figures."""

from argparse import ArgumentParser

from locust import events

from load.users import Closer, Reader

__all__ = ["Closer", "Reader"]


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """Take the addresses of the run."""
    parser.add_argument("--survey", required=True, help="address of survey")
    parser.add_argument("--pages", required=True, help="address of the report that is read")
    parser.add_argument("--cycle", required=True, help="the cycle to close and release")
    parser.add_argument("--hr-key", required=True, is_secret=True, help="key of HR's door")
    parser.add_argument("--idle-seconds", type=float, default=10.0, help="reads before the close")
