"""The one error that is the user's to mend."""


class UserError(ValueError):
    """Something a user can put right. Its message is one line that names the thing and the mend.

    The command line prints it and exits with code 2; bugs raise anything else.
    """
