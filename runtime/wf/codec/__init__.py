"""The codec: values ⇄ bytes. UTF-8 JSON text in which everything JSON has no form for is tagged.

null, booleans, strings, lists, finite floats, integers from -2**63 to 2**63-1 and objects with
string keys are plain JSON, written without white space, keys in the order of the dict. Everything
else is an object with one key that begins with "$", its tag:

| tag | content | value |
|---|---|---|
| `$int` | hexadecimal text, `"-0x1f"` | an int beyond 64 bits |
| `$float` | `"nan"`, `"inf"`, `"-inf"` | a float that JSON lacks |
| `$str` | base64 of UTF-8 with surrogates as three bytes | a str with lone surrogates |
| `$bytes` `$bytearray` | base64 | bytes, bytearray |
| `$dict` | [[key, value], …] | a dict with other than string keys, or with one key that begins with "$" |
| `$tuple` | [member, …] | a tuple |
| `$set` `$frozenset` | [member, …] in the order of their bytes | a set, a frozenset |
| `$deque` | [[member, …], maxlen] | a deque |
| `$ordereddict` `$counter` | [[key, value], …] | an OrderedDict, a Counter |
| `$defaultdict` | [name of a builtin class or null, [[key, value], …]] | a defaultdict |
| `$range` `$complex` `$fraction` | [start, stop, step], [real, imaginary], [numerator, denominator] | those |
| `$decimal` `$uuid` | text | a Decimal, a UUID |
| `$datetime` `$time` | ISO 8601, or [ISO 8601 without zone, zone, fold] | a datetime, a time (zones: see `times`) |
| `$date` | ISO 8601 | a date |
| `$timedelta` | [days, seconds, microseconds] | a timedelta |
| `$timezone` | zone | a timezone or ZoneInfo by itself |
| `$path` `$pureposixpath` `$purewindowspath` | text | a Path of this system, a pure path |
| `$ip` | [class, text] | an address, network or interface of `ipaddress` |
| `$enum` | [class, member], or [class, number] for combined flags | a member of an Enum |
| `$dataclass` `$struct` | [class, {field: value}], further attributes as third | a dataclass, a msgspec Struct |
| `$namedtuple` | [class, [member, …]] | a named tuple |
| `$pydantic` | [class, {field: value}], {"set", "extra", "private"} as third | a pydantic model |
| `$secret` `$url` | [class, content] | SecretStr, SecretBytes, AnyUrl and its kin of pydantic |
| `$unset` | true | `msgspec.UNSET` |
| `$exception` | see `exceptions` | an exception |
| `$object` | [class, value] | an instance of a class marked `@wf.serializable` |

Classes are named `module:qualname`. `register_tag` adds the tags of wf's own classes. An object with
one key that begins with "$" and is not a known tag is read as `Opaque`.

1. A value comes back equal and of the same type, or is refused when written. Never changed silently.
2. Equal values of equal order are written alike, in every process.
3. Reading never imports, executes, opens or unpickles anything.
"""

from __future__ import annotations

from wf.codec import containers, scalars, times  # noqa: F401  (they fill the tables)
from wf.codec.decode import decode, decode_arguments
from wf.codec.encode import encode, encode_arguments
from wf.codec.names import find_class, module_name, public_type_name, type_name
from wf.codec.opaque import Opaque, unwrap
from wf.codec.packing import pack, unpack
from wf.codec.registered import register_serializable, register_tag, serializable
from wf.codec.walk import MAX_DEPTH

__all__ = [
    "MAX_DEPTH",
    "Opaque",
    "decode",
    "decode_arguments",
    "encode",
    "encode_arguments",
    "find_class",
    "module_name",
    "pack",
    "public_type_name",
    "register_serializable",
    "register_tag",
    "serializable",
    "type_name",
    "unpack",
    "unwrap",
]
