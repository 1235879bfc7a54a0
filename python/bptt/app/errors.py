"""What a user of the command line can put right."""


class UserError(Exception):
    """One line that names the file or the option."""


CLOSED_PIPE = 141  # the exit code where nobody reads on: 128 + SIGPIPE, what a shell makes of it
INTERRUPTED = 130  # the exit code after Ctrl-C: 128 + SIGINT, what a shell makes of it
