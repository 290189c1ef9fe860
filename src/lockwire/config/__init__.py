"""The configuration of a broker: `lockwire.toml`, its typed model, and every default.

Start with `settings.py`; `load.py` reads the file. `python -m lockwire.config` prints the documentation.
"""

from lockwire.config.checks import Problem
from lockwire.config.limits import LimitSettings, ListenerLimitSettings
from lockwire.config.load import SettingsError, load
from lockwire.config.settings import (
    AuthenticationMethod,
    ClientCertificates,
    ListenerSettings,
    LogSettings,
    MetricsSettings,
    Settings,
    StoreSettings,
    SysSettings,
    TlsSettings,
    TlsVersion,
    Transport,
    WebSocketSettings,
)

__all__ = [
    "AuthenticationMethod",
    "ClientCertificates",
    "LimitSettings",
    "ListenerLimitSettings",
    "ListenerSettings",
    "LogSettings",
    "MetricsSettings",
    "Problem",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "SysSettings",
    "TlsSettings",
    "TlsVersion",
    "Transport",
    "WebSocketSettings",
    "load",
]
