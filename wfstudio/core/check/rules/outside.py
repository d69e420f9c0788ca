"""Rules on what reaches out of the body: files, processes, the network, threads, blocking."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from wfstudio.core.check.events import Called, Referred
from wfstudio.core.check.kinds import STR, UNKNOWN, Outside
from wfstudio.core.check.libraries import PATH
from wfstudio.core.check.rules.rule import Problem, Rule
from wfstudio.core.check.tables import Table, show_name
from wfstudio.core.check.walking import Walk

_FILES: Final = Table(
    {
        "builtins": r"open|input",
        "io": r"open|open_code|FileIO",
        "os": (
            r"open|fdopen|read|write|close|listdir|scandir|f?walk|[lf]?stat|statvfs|mkdir|makedirs|remove|unlink|renames?"
            r"|replace|rmdir|removedirs|symlink|link|readlink|l?chmod|[lf]?chown|f?truncate|utime|access|mkfifo|mknod"
            r"|pipe2?|sendfile|fsync|fdatasync|sync|f?chdir|umask"
            r"|path\.(l?exists|isfile|isdir|islink|ismount|getsize|get[mac]time|realpath|samefile)"
        ),
        "pathlib.Path": (
            r"read_text|read_bytes|write_text|write_bytes|open|exists|is_file|is_dir|is_symlink|is_mount|iterdir|r?glob|walk"
            r"|mkdir|unlink|rmdir|rename|replace|touch|l?stat|l?chmod|symlink_to|hardlink_to|resolve|readlink|samefile"
            r"|owner|group|copy|copy_into|move|move_into"
        ),
        "shutil": r"(?!get_terminal_size)[a-z]\w*",
        "tempfile": r"\w+",
        "glob": r"i?glob",
        "fileinput": r"input|FileInput",
        "linecache": r"getlines?",
        "mmap": r"mmap",
        "gzip": r"open",
        "bz2": r"open",
        "lzma": r"open",
        "codecs": r"open",
        "wave": r"open",
        "shelve": r"open",
        "dbm": r"open",
        "aiofiles": r"open|os\.\w+|tempfile\.\w+",
        "anyio": r"open_file|Path\.\w+",
        "importlib.resources": r"files|as_file|open_\w+|read_\w+|path|contents|is_resource",
        "pkgutil": r"get_data",
        "configparser.ConfigParser": r"read",
        "select": r"(select|poll|epoll|kqueue)(\..*)?",
        "getpass": r"getpass",
        "pandas": r"read_\w+",
        "polars": r"(read|scan)_\w+",
        "numpy": r"load|save|savez\w*|loadtxt|savetxt|genfromtxt|fromfile|memmap",
        "PIL.Image": r"open",
    }
)
_ARCHIVES: Final = frozenset({"zipfile.ZipFile", "tarfile.open", "tarfile.TarFile"})
_OF_PATHS: Final = frozenset({"read_text", "read_bytes", "write_text", "write_bytes"})


class FileAccess(Rule):
    """A body touches files

    Found are `open`, `input`, the functions of `os`, `os.path`, `shutil`, `tempfile` and `glob` that look at
    the disk, the methods of a `pathlib.Path` that do, and the readers of the common libraries. What only
    computes with paths is fine: `folder / name`, `os.path.join`, `path.suffix`. So is `print`.

    ## Why

    A replay finds other files, or none: it runs later, maybe on another machine. And what a body writes is
    written again by every replay.

    ## Fix

    Move it into a step. What a step returns is in the log, and does not run again.

    ## Example

    ```python
    from pathlib import Path

    import wf


    @wf.step
    def read_template(path: str) -> str:
        return Path(path).read_text()


    @wf.workflow
    async def wrong(path: str) -> str:
        return Path(path).read_text().strip()


    @wf.workflow
    async def right(path: str) -> str:
        return (await read_template(path)).strip()
    ```
    """

    code = "WF201"
    why = "a replay finds other files, and writes again what it wrote"
    fix = "move it into a step: `@wf.step` on a function that does it"
    events = (Called, Referred)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Referred(node=node, name=name, known=known) if f"{name}.".startswith("sys.stdin."):
                if known != "sys.stdin":
                    yield Problem(node, "`sys.stdin` reads the terminal")
            case Called(node=node, callee=Outside(name=name)) if _FILES.has(name):
                yield Problem(node, f"`{show_name(name)}` touches files" if name != "builtins.input" else _INPUT)
            case Called(node=node, callee=Outside(name=name)) if name in _ARCHIVES:
                if node.args and _is_path(walk, node.args[0]):
                    yield Problem(node, f"`{name}` touches files")
            case Called(node=ast.Call(func=ast.Attribute(attr=attr)) as node, callee=callee) if callee == UNKNOWN:
                if attr in _OF_PATHS:
                    yield Problem(node, f"`.{attr}` touches files")


_INPUT: Final = "`input` asks who sits at the terminal"


def _is_path(walk: Walk, node: ast.expr) -> bool:
    kind = walk.kind(node)
    return kind in (STR, PATH)


_PROCESSES: Final = Table(
    {
        "subprocess": r"(run|call|check_call|check_output|Popen|getoutput|getstatusoutput)(\..*)?",
        "os": r"system|popen|spawn\w+|exec\w+|fork|forkpty|posix_spawnp?|kill|killpg|wait\w*|abort|_exit|startfile",
        "asyncio": r"create_subprocess_(exec|shell)",
        "asyncio.AbstractEventLoop": r"subprocess_\w+|add_signal_handler",
        "anyio": r"run_process|open_process",
        "signal": r"signal|alarm|pause|sigwait\w*|setitimer|raise_signal|pthread_kill",
        "pexpect": r"spawn|run",
        "pty": r"spawn|fork",
    }
)


class Process(Rule):
    """A body starts or steers processes

    Found are `subprocess`, `os.system` and its kin, `asyncio.create_subprocess_exec`, and handlers of signals.

    ## Why

    A replay would start the program again. The runtime refuses most of it with a
    [WorkflowIOError](../errors/workflow-io.md) while the body runs; the check says so before.

    ## Fix

    Move it into a step: a plain `def` step runs in a thread, so `subprocess.run` is welcome there.

    ## Example

    ```python
    import subprocess

    import wf


    @wf.step
    def convert(file: str) -> None:
        subprocess.run(["convert", file, f"{file}.png"], check=True)


    @wf.workflow
    async def wrong(file: str) -> None:
        subprocess.run(["convert", file, f"{file}.png"], check=True)


    @wf.workflow
    async def right(file: str) -> None:
        await convert(file)
    ```
    """

    code = "WF202"
    why = "a replay would start it again; the runtime refuses it in a body"
    fix = "move it into a step: `@wf.step` on a function that does it"
    events = (Called,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Called(node=node, callee=Outside(name=name), maker=maker) if _PROCESSES.has(
                name
            ) and not _PROCESSES.has(maker):
                yield Problem(node, f"`{show_name(name)}` starts or steers a process")


_CONNECTIONS: Final = (
    r"((connect|create_pool|Connection|AsyncConnection|(Async)?ConnectionPool|get_client|create_client|Database)(\..*)?"
    r"|pool\..*|pooling\..*)"
)
_NETWORK: Final = Table(
    {
        "asyncio": r"open_connection|open_unix_connection|start_server|start_unix_server",
        "asyncio.AbstractEventLoop": (
            r"create_(unix_)?(connection|server)|create_datagram_endpoint|sock_\w+|getaddrinfo|getnameinfo|start_tls"
            r"|connect_accepted_socket|connect_(read|write)_pipe|add_(reader|writer)|sendfile"
        ),
        "requests": r"((api\.)?(get|post|put|patch|delete|head|options|request)|session|(sessions\.)?Session)(\..*)?",
        "httpx": r"(get|post|put|patch|delete|head|options|request|stream|Client|AsyncClient)(\..*)?",
        "urllib.request": r"(urlopen|urlretrieve|OpenerDirector|build_opener)(\..*)?",
        "urllib3": r"(request|PoolManager|ProxyManager|HTTPS?ConnectionPool|connection_from_url)(\..*)?",
        "http.client": r"HTTPS?Connection(\..*)?",
        "http.server": r"\w*Server(\..*)?",
        "socketserver": r"\w*Server(\..*)?",
        "wsgiref.simple_server": r"make_server",
        "xmlrpc.client": r"ServerProxy(\..*)?",
        "socket": (
            r"(socket|create_connection|create_server|getaddrinfo|gethostbyname(_ex)?|gethostbyaddr|getnameinfo|socketpair"
            r"|fromfd)(\..*)?"
        ),
        "ssl": r"get_server_certificate",
        "smtplib": r"(SMTP|SMTP_SSL|LMTP)(\..*)?",
        "poplib": r"POP3(_SSL)?(\..*)?",
        "imaplib": r"IMAP4(_SSL)?(\..*)?",
        "ftplib": r"FTP(_TLS)?(\..*)?",
        "telnetlib": r"Telnet(\..*)?",
        "aiohttp": r"(ClientSession|request|web\.run_app)(\..*)?",
        "aiosmtplib": r"(send|SMTP)(\..*)?",
        "websockets": r"((\w+\.)*(connect|unix_connect|serve))(\..*)?",
        "websocket": r"(create_connection|WebSocket|WebSocketApp)(\..*)?",
        "grpc": r"(insecure_channel|secure_channel|server|aio\.(insecure_channel|secure_channel|server))(\..*)?",
        "paramiko": r"(SSHClient|Transport|SFTPClient)(\..*)?",
        "asyncssh": r"(connect|listen|create_\w+)(\..*)?",
        "boto3": r"(client|resource|(session\.)?Session|setup_default_session)(\..*)?",
        "aioboto3": r"Session(\..*)?",
        "botocore.session": r".+",
        "google.cloud": r"(\w+\.)*\w*Client(\..*)?",
        "azure": r"(\w+\.)*\w*Client(\..*)?",
        "kafka": r"\w*(Producer|Consumer|Client)(\..*)?",
        "aiokafka": r"\w*(Producer|Consumer|Client)(\..*)?",
        "confluent_kafka": r"(\w+\.)*\w*(Producer|Consumer|Client)(\..*)?",
        "pika": r"\w*Connection(\..*)?",
        "aio_pika": r"connect\w*(\..*)?",
        "nats": r"connect",
        "redis": r"(((asyncio|cluster|client)\.)*(Strict)?(Redis(Cluster)?|ConnectionPool|from_url))(\..*)?",
        "valkey": r"((asyncio\.)?(Valkey(Cluster)?|from_url))(\..*)?",
        "pymemcache": r"(client\.)*\w*Client(\..*)?",
        "pymongo": r"(Async)?MongoClient(\..*)?",
        "motor": r"(\w+\.)*\w*Client(\..*)?",
        "sqlite3": _CONNECTIONS,
        "aiosqlite": _CONNECTIONS,
        "psycopg": _CONNECTIONS,
        "psycopg2": _CONNECTIONS,
        "psycopg_pool": r"\w*ConnectionPool(\..*)?",
        "asyncpg": _CONNECTIONS,
        "pg8000": _CONNECTIONS,
        "pymysql": _CONNECTIONS,
        "aiomysql": _CONNECTIONS,
        "MySQLdb": _CONNECTIONS,
        "mysql.connector": _CONNECTIONS,
        "oracledb": _CONNECTIONS,
        "cx_Oracle": _CONNECTIONS,
        "pyodbc": _CONNECTIONS,
        "duckdb": rf"{_CONNECTIONS}|sql|query|execute|DuckDBPyConnection(\..*)?",
        "snowflake.connector": _CONNECTIONS,
        "clickhouse_connect": _CONNECTIONS,
        "databases": r"Database(\..*)?",
        "sqlalchemy": r"(\w+\.)*((create_engine|create_async_engine|Session|AsyncSession)(\..*)?)",
        "sqlmodel": r"(\w+\.)*((create_engine|Session|AsyncSession)(\..*)?)",
        "elasticsearch": r"(Async)?Elasticsearch(\..*)?",
        "opensearchpy": r"(Async)?OpenSearch(\..*)?",
        "cassandra.cluster": r"(Cluster|Session)(\..*)?",
        "neo4j": r"(Async)?GraphDatabase(\..*)?",
        "ldap3": r"(Connection|Server)(\..*)?",
        "dns.resolver": r"(resolve|query|Resolver)(\..*)?",
        "openai": (
            r"((Async)?(Azure)?OpenAI|ChatCompletion|Completion|Embedding|Image|chat|completions|embeddings|images|responses"
            r"|audio|moderations)(\..*)?"
        ),
        "anthropic": r"(Async)?Anthropic\w*(\..*)?",
        "litellm": r"a?completion|a?embedding|a?image_generation|a?responses|a?transcription|a?speech",
        "ollama": r"(chat|generate|embed|embeddings|pull|push|create|(Async)?Client)(\..*)?",
        "cohere": r"(Async)?Client(V2)?(\..*)?",
        "mistralai": r"(client\.)?Mistral(Client)?(\..*)?",
        "groq": r"(Async)?Groq(\..*)?",
        "replicate": r"(run|async_run|Client)(\..*)?",
        "stripe": r".+",
        "twilio.rest": r"Client(\..*)?",
        "slack_sdk": r"(\w+\.)*\w*Client(\..*)?",
        "sendgrid": r"SendGridAPIClient(\..*)?",
        "github": r"Github(\..*)?",
        "docker": r"(from_env|DockerClient|APIClient)(\..*)?",
        "kubernetes": r"(client\.\w*Api(\..*)?|config\.load_\w+)",
        "playwright": r"(\w+\.)*(a?sync_playwright)(\..*)?",
        "selenium": r"webdriver\..+",
    }
)


class Network(Rule):
    """A body uses the network, or a database

    Found are calls into the libraries for HTTP, sockets, mail, message queues, databases and services,
    `asyncio.open_connection` and its kin, and methods of a client that was made outside of the body. Classes
    of exceptions are fine: a body may catch what a step raises. So are pure parts, such as `urllib.parse`.

    ## Why

    A replay would send the request again, and get another answer. The runtime refuses sockets in a body with
    a [WorkflowIOError](../errors/workflow-io.md); the check says so before.

    ## Fix

    Move it into a step. Its answer is in the log, and it is tried again when it fails.

    ## Example

    ```python
    import urllib.request

    import wf


    @wf.step
    def fetch(url: str) -> bytes:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read()


    @wf.workflow
    async def wrong(url: str) -> int:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return len(answer.read())


    @wf.workflow
    async def right(url: str) -> int:
        return len(await fetch(url))
    ```
    """

    code = "WF203"
    why = "a replay would ask again and get another answer; the runtime refuses sockets in a body"
    fix = "move it into a step: `@wf.step` on a function that does it"
    events = (Called,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Called(node=node, callee=Outside(name=name), maker=maker) if _NETWORK.has(name) and not _NETWORK.has(
                maker
            ):
                yield Problem(node, f"`{show_name(name)}` uses the network or a database")


_THREADS: Final = Table(
    {
        "threading": r"(Thread|Timer)(\..*)?",
        "_thread": r"start_new_thread|start_joinable_thread",
        "concurrent.futures": r"(Thread|Process|Interpreter)PoolExecutor(\..*)?",
        "multiprocessing": r"(?!cpu_count|current_process|get_start_method|freeze_support).+",
        "joblib": r"Parallel(\..*)?",
        "asyncio": r"to_thread|run_coroutine_threadsafe|run|new_event_loop|Runner(\..*)?",
        "asyncio.AbstractEventLoop": (
            r"run_in_executor|call_soon_threadsafe|run_until_complete|run_forever|set_default_executor"
        ),
        "anyio": r"to_thread\.run_sync|to_process\.run_sync|from_thread\.\w+|run",
        "trio": r"run|run_process|open_nursery|to_thread\.run_sync|from_thread\.\w+",
        "asgiref.sync": r"sync_to_async|async_to_sync",
        "starlette.concurrency": r"run_in_threadpool",
        "fastapi.concurrency": r"run_in_threadpool",
        "gevent": r"spawn\w*|joinall",
        "wf": r"run|worker",
    }
)


class Thread(Rule):
    """A body starts a thread, an executor or another event loop

    Found are `threading.Thread`, the executors of `concurrent.futures`, `multiprocessing`,
    `asyncio.to_thread`, `loop.run_in_executor`, `asyncio.run`, `wf.run`, and the same of other libraries.

    ## Why

    What a thread does, and when it is done, comes out differently each time, and is in no log. The body's
    event loop has no threads and no executors: it raises a [WorkflowIOError](../errors/workflow-io.md).

    ## Fix

    A plain `def` step runs in a thread by itself. Side by side run steps that are called with
    `asyncio.gather` or in a `asyncio.TaskGroup`.

    ## Example

    ```python
    import asyncio

    import wf


    def compress(data: bytes) -> bytes: ...


    @wf.step
    def compress_one(data: bytes) -> bytes:
        return compress(data)


    @wf.workflow
    async def wrong(parts: list[bytes]) -> list[bytes]:
        return await asyncio.gather(*(asyncio.to_thread(compress, part) for part in parts))


    @wf.workflow
    async def right(parts: list[bytes]) -> list[bytes]:
        return await asyncio.gather(*(compress_one(part) for part in parts))
    ```
    """

    code = "WF204"
    why = "what a thread does is in no log; the runtime refuses it in a body"
    fix = "make it a plain `def` step, which runs in a thread, and gather its calls"
    events = (Called,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Called(node=node, callee=Outside(name=name), maker=maker) if _THREADS.has(name) and not _THREADS.has(
                maker
            ):
                yield Problem(node, f"`{show_name(name)}` leaves the body's event loop")
            case Called(node=ast.Call(func=ast.Attribute(attr="run_in_executor")) as node, callee=callee):
                if callee == UNKNOWN:
                    yield Problem(node, "`run_in_executor` leaves the body's event loop")


_BLOCKING: Final = Table(
    {
        "time": r"sleep",
        "threading.Event": r"wait",
        "threading.Condition": r"wait|wait_for",
        "threading.Barrier": r"wait",
        "threading.Semaphore": r"acquire",
        "threading.Lock": r"acquire",
        "queue.Queue": r"get|put|join",
        "queue.SimpleQueue": r"get",
        "gevent": r"sleep",
        "eventlet": r"sleep",
        "trio": r"sleep",
    }
)


class Blocking(Rule):
    """A body blocks

    Found are `time.sleep`, and waiting for events, locks and queues that belong to threads.

    ## Why

    All bodies of a worker share one thread. While one blocks it, none goes on, and no lease is renewed. And a
    wait that is not in the log is waited for again by every replay.

    ## Fix

    `await wf.sleep("1h")` is in the log, holds nothing, and survives a restart. `await asyncio.sleep(...)`
    does the same. For signals between tasks of one body use `asyncio.Event` and `asyncio.Queue`, between runs
    hooks and locks.

    ## Example

    ```python
    import time

    import wf


    @wf.workflow
    async def wrong() -> None:
        time.sleep(60)


    @wf.workflow
    async def right() -> None:
        await wf.sleep(60)
    ```
    """

    code = "WF205"
    why = "it holds the thread that all bodies of the worker share, and every replay waits again"
    fix = "`await wf.sleep(...)`, which is in the log and holds nothing"
    events = (Called,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Called(node=node, callee=Outside(name=name)) if _BLOCKING.has(name):
                yield Problem(node, f"`{show_name(name)}` blocks the worker")


RULES: Final = (FileAccess, Process, Network, Thread, Blocking)

__all__ = ["RULES", "Blocking", "FileAccess", "Network", "Process", "Thread"]
