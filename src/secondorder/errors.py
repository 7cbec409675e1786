"""The errors a user can cause, each with one message that names the thing, the value and the remedy."""


class SecondOrderError(Exception):
    """Base of every error that a user can cause and repair; its text is one clear sentence or two."""


class ConfigurationError(SecondOrderError):
    """A configuration key is unknown, has the wrong type or an impossible value."""


class DataError(SecondOrderError):
    """A data file is missing, corrupt, of the wrong shape or fails its checksum."""


class ResultError(SecondOrderError):
    """A result does not belong to the configuration, code or data that it is used with."""


class BusyError(SecondOrderError):
    """Another process is at work where this one wants to."""


class CapabilityError(SecondOrderError):
    """A method is asked for something that it cannot do, such as a layer that it cannot represent."""


class InputError(SecondOrderError):
    """Inputs, targets, a loss or parameters are not what a routine works on."""
