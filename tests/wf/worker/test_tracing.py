"""OpenTelemetry: which spans a run leaves, where they hang, what they say, and what they may cost."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import KEYRING, Place, make_worker
from wf import registry
from wf.embedding import EmbeddedWorker
from wf.worker import provider, sender, tracing
from wf.worker.logs import open_log
from wf.worlds.memory import MemoryWorld

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture(autouse=True)
def _own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


class Spans(InMemorySpanExporter):
    """What was exported, looked up by name."""

    def named(self, name: str) -> list[Any]:
        return [span for span in self.get_finished_spans() if span.name == name]

    def one(self, name: str) -> Any:
        (span,) = self.named(name)
        return span

    @property
    def text(self) -> str:
        return "".join(span.to_json() for span in self.get_finished_spans())


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """A program that has set a provider; what its exporter got."""
    exporter = Spans()
    use(monkeypatch, exporter)
    return exporter


def use(monkeypatch: pytest.MonkeyPatch, exporter: SpanExporter, sampler: Any = None) -> None:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)  # `set_tracer_provider` works once a process


def ids(run_id: str) -> tuple[int, int]:
    return tracing._run_ids(run_id)


# -- the trace ----------------------------------------------------------------------------------


async def test_a_run_is_one_trace_with_a_span_of_its_own_and_one_for_each_attempt(spans: Spans) -> None:
    @wf.step(name="double")
    async def double(n: int) -> int:
        return 2 * n

    @wf.workflow(name="main")
    async def main() -> int:
        return await double(1) + await double(2)

    world = MemoryWorld()
    async with make_worker(world):
        run = await wf.start(main.with_options(id="order-1"))
        assert await run.return_value() == 6
    row = await world.get_run("order-1")
    assert row is not None
    facts = {"wf.run_id": "order-1", "wf.workflow": "main", "wf.deployment_id": row.deployment_id}

    root = spans.one("main")
    assert root.parent is None
    assert (root.context.trace_id, root.context.span_id) == ids("order-1")
    assert dict(root.attributes) == {**facts, "wf.status": "completed"}
    first, second = spans.named("double")
    for span in (first, second):
        assert span.context.trace_id == root.context.trace_id
        assert span.parent.span_id == root.context.span_id
        assert root.start_time <= span.start_time <= span.end_time
        assert span.status.is_unset
    assert dict(first.attributes) == {
        **facts, "wf.step": "double", "wf.correlation_id": 1, "wf.attempt": 1, "wf.status": "completed",
    }  # fmt: skip
    assert second.attributes["wf.correlation_id"] == 2
    assert len(spans.get_finished_spans()) == 3


def test_a_runs_trace_id_stays_what_it_was_in_every_version() -> None:
    trace_id, span_id = ids("order-1")
    assert (f"{trace_id:032x}", f"{span_id:016x}") == ("5cb69580e52a24f246a2ff2a1429664c", "b3ee957fe4bd950d")


async def test_the_spans_of_a_run_have_the_instants_of_its_log(spans: Spans) -> None:
    @wf.step(name="step")
    async def step() -> None: ...

    @wf.workflow(name="main")
    async def main() -> None:
        await step()

    world = MemoryWorld()
    async with make_worker(world):
        run = await wf.start(main)
        await run.return_value()

    at = {event.type: event.at * 1000 for event in await world.read_events(run.run_id)}
    assert (spans.one("main").start_time, spans.one("main").end_time) == (at["run_started"], at["run_completed"])
    assert spans.one("step").start_time == at["step_created"]


async def test_spans_made_in_a_step_nest_under_its_attempt(spans: Spans) -> None:
    def work(name: str) -> None:
        with trace.get_tracer("user").start_as_current_span(name):
            pass

    @wf.step(name="awaiting")
    async def awaiting() -> None:
        async def part() -> None:
            work("in a task")

        work("in a coroutine")
        await asyncio.gather(part())

    @wf.step(name="plain")
    def plain() -> None:
        work("in a thread")

    @wf.step(name="bounded", timeout="1m")
    async def bounded() -> None:
        work("under a timeout")

    @wf.workflow(name="main")
    async def main() -> None:
        await asyncio.gather(awaiting(), plain(), bounded())

    with trace.get_tracer("user").start_as_current_span("the program"):  # no parent of what its worker runs
        async with make_worker(MemoryWorld()):
            await (await wf.start(main)).return_value()

    parents = {
        "in a coroutine": "awaiting", "in a task": "awaiting", "in a thread": "plain", "under a timeout": "bounded",
    }  # fmt: skip
    for made, step in parents.items():
        assert spans.one(made).parent.span_id == spans.one(step).context.span_id
        assert spans.one(made).context.trace_id == spans.one("main").context.trace_id


async def test_after_a_restart_spans_join_the_same_trace_and_none_is_made_twice(spans: Spans) -> None:
    tracer = trace.get_tracer("user")

    @wf.step(name="before")
    async def before() -> None: ...

    @wf.step(name="after")
    async def after() -> None: ...

    @wf.workflow(name="main")
    async def main() -> None:
        with tracer.start_as_current_span("in the body"):
            await before()
        await wf.hook(token="go")
        await after()

    world = MemoryWorld()
    async with make_worker(world) as worker:
        run = await wf.start(main)
        await worker.drain()
    assert [span.name for span in spans.get_finished_spans()] == ["before"]

    async with make_worker(world):
        await wf.resume_hook("go", None)
        await run.return_value()
    assert sorted(span.name for span in spans.get_finished_spans()) == ["after", "before", "main"]
    assert {span.context.trace_id for span in spans.get_finished_spans()} == {ids(run.run_id)[0]}


async def test_a_child_and_a_continuation_are_traces_of_their_own_that_link_to_where_they_come_from(
    spans: Spans,
) -> None:
    @wf.workflow(name="child")
    async def child() -> None: ...

    @wf.workflow(name="main")
    async def main(turn: int) -> None:
        if turn == 1:
            await child()
            await wf.continue_as_new(2)

    world = MemoryWorld()
    async with make_worker(world):
        run = await wf.start(main, 1)
        await run.return_value()
        following = await run.continued_as()
    assert following is not None

    def links(span: Any) -> list[tuple[int, int, str]]:
        return [(link.context.trace_id, link.context.span_id, link.attributes["wf.link"]) for link in span.links]

    first, second = sorted(spans.named("main"), key=lambda span: span.end_time)
    assert links(first) == []
    assert links(second) == [(*ids(run.run_id), "continued_from")]
    assert (second.context.trace_id, second.context.span_id) == ids(following.run_id)
    assert links(spans.one("child")) == [(*ids(run.run_id), "parent_run_id")]
    assert spans.one("child").parent is None


async def test_runs_are_sampled_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = Spans()
    use(monkeypatch, exporter, sampling.ParentBased(sampling.TraceIdRatioBased(0.5)))

    @wf.step(name="step")
    async def step() -> None:
        trace.get_tracer("user").start_span("inner").end()

    @wf.workflow(name="main")
    async def main() -> None:
        await step()

    async with make_worker(MemoryWorld()):
        for number in range(10):
            await (await wf.start(main.with_options(id=f"run-{number}"))).return_value()

    sampled = {span.context.trace_id for span in exporter.named("main")}
    assert 0 < len(sampled) < 10
    assert len(exporter.get_finished_spans()) == 3 * len(sampled)
    assert {span.context.trace_id for span in exporter.get_finished_spans()} == sampled


async def test_a_provider_without_the_sdks_ids_has_the_runs_span_beside_its_attempts(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tracer(trace.Tracer):
        """What the API promises, and no more."""

        def start_span(self, *args: Any, **kwargs: Any) -> Any:
            return inner.start_span(*args, **kwargs)

        def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
            return inner.start_as_current_span(*args, **kwargs)

    class Provider(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            return Tracer()

    inner = trace.get_tracer("inner")

    @wf.step(name="step")
    async def step() -> None: ...

    @wf.workflow(name="main")
    async def main() -> None:
        await step()

    monkeypatch.setattr(trace, "_TRACER_PROVIDER", Provider())
    async with make_worker(MemoryWorld()):
        run = await wf.start(main)
        await run.return_value()
    for span in (spans.one("main"), spans.one("step")):
        assert (span.context.trace_id, span.parent.span_id) == ids(run.run_id)


# -- outcomes -----------------------------------------------------------------------------------

SECRET = "hunter2"


async def fail_twice(spans: Spans) -> None:
    @wf.step(name="failing", max_retries=1, retry_delay="1ms")
    async def failing(text: str) -> None:
        raise ConnectionError(f"password {text} refused")

    @wf.workflow(name="main")
    async def main(text: str) -> None:
        await failing(text)

    async with make_worker(MemoryWorld()):
        run = await wf.start(main, SECRET)
        with pytest.raises(wf.errors.WorkflowRunFailedError):
            await run.return_value()


async def test_every_attempt_that_ran_has_its_span_with_the_type_of_its_error_and_nothing_else_of_it(
    spans: Spans,
) -> None:
    await fail_twice(spans)

    assert [span.attributes["wf.attempt"] for span in spans.named("failing")] == [1, 2]
    for span in [*spans.named("failing"), spans.one("main")]:
        (event,) = span.events
        assert (event.name, dict(event.attributes)) == ("exception", {"exception.type": "builtins.ConnectionError"})
        assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, None)
        assert span.attributes["wf.status"] == "failed"
    assert spans.one("main").attributes["wf.error_code"] == "USER_ERROR"
    assert SECRET not in spans.text


async def test_messages_and_tracebacks_of_attempts_are_told_when_asked_for(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WF_OTEL_MESSAGES", "1")
    await fail_twice(spans)

    span = spans.named("failing")[0]
    said = span.events[0].attributes
    assert said["exception.message"] == span.status.description == f"password {SECRET} refused"
    assert "in failing" in said["exception.stacktrace"]


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Mute(), "(Mute has no text: RuntimeError)"),
        (ValueError("\ud800"), "?"),  # one that no exporter could encode takes all spans of its batch along
        (ValueError("x" * 1_000_000), "x" * tracing.MAX_TEXT),
    ],
    ids=["mute", "surrogate", "huge"],
)
async def test_an_odd_exception_does_not_cost_the_span(
    error: Exception, said: str, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    @wf.step(name="failing", max_retries=0)
    async def failing() -> None:
        raise error

    @wf.workflow(name="main")
    async def main() -> str:
        try:
            await failing()
        except Exception:
            return "caught"
        return "not raised"

    monkeypatch.setenv("WF_OTEL_MESSAGES", "1")
    async with make_worker(MemoryWorld()):
        assert await (await wf.start(main)).return_value() == "caught"
    span = spans.one("failing")
    assert span.events[0].attributes["exception.message"] == span.status.description == said
    assert len(span.events[0].attributes["exception.stacktrace"].encode()) <= tracing.MAX_TEXT


async def test_a_result_that_is_refused_is_a_failure_of_its_attempt(spans: Spans) -> None:
    @wf.step(name="failing")
    async def failing() -> Any:
        return lambda: None

    @wf.workflow(name="main")
    async def main() -> None:
        await failing()

    async with make_worker(MemoryWorld()):
        with pytest.raises(wf.errors.WorkflowRunFailedError):
            await (await wf.start(main)).return_value()
    assert spans.one("failing").events[0].attributes["exception.type"] == "wf.errors.SerializationError"


async def test_what_is_cancelled_is_no_error(spans: Spans) -> None:
    @wf.step(name="endless", cancellable=True)
    async def endless() -> None:
        await asyncio.Event().wait()

    @wf.workflow(name="main")
    async def main() -> None:
        await endless()

    async with make_worker(MemoryWorld()) as worker:
        run = await wf.start(main)
        while not any(live.attempts for live in worker.worker.leases.runs.values()):
            await asyncio.sleep(0)
        await run.cancel()
        with pytest.raises(wf.errors.WorkflowRunCancelledError):
            await run.return_value()
    for name in ("endless", "main"):
        assert spans.one(name).attributes["wf.status"] == "cancelled"
        assert spans.one(name).status.is_unset


async def test_an_attempt_that_is_cancelled_before_its_first_turn_did_not_run_and_has_no_span(spans: Spans) -> None:
    @wf.step(name="step", retry_delay="1ms")
    async def step() -> int:
        return wf.get_step_metadata().attempt

    @wf.workflow(name="main")
    async def main() -> int:
        return await step()

    async with make_worker(MemoryWorld()) as worker:
        run = await wf.start(main)
        while not (attempts := [a for live in worker.worker.leases.runs.values() for a in live.attempts.values()]):
            await asyncio.sleep(0)
        assert not attempts[0]._is_begun
        attempts[0].cancel("too early")
        assert await run.return_value() == 2
    assert spans.one("step").attributes["wf.attempt"] == 2


async def test_a_run_that_is_cancelled_before_it_began_has_its_span(spans: Spans) -> None:
    @wf.workflow(name="main")
    async def main() -> None: ...

    async with make_worker(MemoryWorld()):
        run = await wf.start(main.with_options(delay="1h"))
        await run.cancel()
        with pytest.raises(wf.errors.WorkflowRunCancelledError):
            await run.return_value()
    root = spans.one("main")
    assert root.attributes["wf.status"] == "cancelled"
    assert root.context.trace_id == ids(run.run_id)[0]
    assert root.start_time <= root.end_time


# -- what it may cost ---------------------------------------------------------------------------


class Hanging(Spans):
    """An exporter whose collector does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        self.answer.wait(30)
        return super().export(spans)


async def test_an_exporter_that_hangs_delays_neither_steps_nor_the_workers_leaving(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Hanging()
    use(monkeypatch, exporter)
    monkeypatch.setattr(sender, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(sender, "MAX_WAITING", 2)

    @wf.step(name="step")
    async def step(n: int) -> int:
        return n

    @wf.workflow(name="main")
    async def main() -> int:
        return sum([await step(n) for n in range(10)])

    try:
        async with make_worker(MemoryWorld()):
            assert await (await wf.start(main)).return_value() == 45
    finally:
        exporter.answer.set()
    assert [record.message for record in caplog.records if record.name == "wf.worker"] == [
        "spans are lost (this is said once): too many spans wait for their exporter"
    ]


class Broken(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        raise OSError("no collector")


class BrokenSampler(sampling.Sampler):
    def should_sample(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no decision")

    def get_description(self) -> str:
        return "broken"


@pytest.mark.parametrize(
    ("exporter", "sampler", "said"),
    [
        (Broken(), None, "Exception while exporting Span."),
        (Spans(), BrokenSampler(), "spans are lost (this is said once): RuntimeError('no decision')"),
    ],
    ids=["exporter", "sampler"],
)
async def test_what_opentelemetry_raises_fails_no_step_and_is_not_in_its_log(
    exporter: Any, sampler: Any, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, exporter, sampler)

    @wf.step(name="step")
    async def step() -> str:
        logging.getLogger("user").warning("from the step")
        return "done"

    @wf.workflow(name="main")
    async def main() -> str:
        return await step()

    world = MemoryWorld()
    async with EmbeddedWorker(world, grace=0, keyring=KEYRING, capture_logs=True):
        run = await wf.start(main)
        assert await run.return_value() == "done"
    assert said in [record.message for record in caplog.records]
    kept = [
        line.text
        for row in await world.read_logs(run.run_id)
        for line in open_log(KEYRING.run(run.run_id), row.correlation_id, row.attempt, row.index, row.payload)
    ]
    assert kept == ["from the step"]


async def test_what_a_step_logs_within_a_span_is_kept(spans: Spans) -> None:
    @wf.step(name="step")
    def step() -> None:
        with trace.get_tracer("user").start_as_current_span("inner"):
            print("from the span")

    @wf.workflow(name="main")
    async def main() -> None:
        await step()

    world = MemoryWorld()
    async with EmbeddedWorker(world, grace=0, keyring=KEYRING, capture_logs=True):
        run = await wf.start(main)
        await run.return_value()
    (row,) = await world.read_logs(run.run_id)
    (line,) = open_log(KEYRING.run(run.run_id), row.correlation_id, row.attempt, row.index, row.payload)
    assert line.text == "from the span"
    assert spans.one("inner").parent.span_id == spans.one("step").context.span_id


# -- configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "shop"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp_proto_http", "console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, ["otlp_proto_http"]),
    ],
)
def test_the_environment_names_the_exporters(environ: dict[str, str], names: list[str]) -> None:
    assert provider.asked_exporters(environ) == names


async def test_an_exporter_that_is_not_installed_is_said_and_the_worker_works_without_spans(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")

    @wf.workflow(name="main")
    async def main() -> int:
        return 1

    async with make_worker(MemoryWorld()) as worker:
        assert worker.worker.tracing is None
        assert await (await wf.start(main)).return_value() == 1
    assert "no exporter 'carrier-pigeon' is installed" in caplog.text


async def test_the_sdks_own_switch_turns_it_off(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with make_worker(MemoryWorld()) as worker:
        assert worker.worker.tracing is None


FLOW = """
import sys
import wf

@wf.step
async def shout(text: str) -> str:
    if "opentelemetry.trace" in sys.modules:
        sys.modules["opentelemetry.trace"].get_tracer("user").start_span("inner").end()
    return text.upper()

@wf.workflow
async def main(text: str) -> str:
    return await shout(text)
"""

RUN = """
async with wf.worker(modules=["flow"]):
    import flow
    run = await wf.start(flow.main.with_options(id="order-1"), "hello")
    assert await run.return_value() == "HELLO"
print(*sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def test_without_a_configuration_opentelemetry_is_never_imported(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(FLOW)
    assert place.run(RUN).stdout == "\n"


class Collector(ThreadingHTTPServer):
    """An OTLP/HTTP receiver: keeps the bodies of what was posted to `/v1/traces`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receive)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Receive(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


def test_with_an_endpoint_in_the_environment_a_worker_sends_its_spans_there_before_it_leaves(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the OTLP exporter is not installed")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    place = Place(tmp_path)
    place.write(FLOW)
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            place.run(RUN, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        finally:
            collector.shutdown()
            thread.join()

    received = [ExportTraceServiceRequest.FromString(body).resource_spans for body in collector.bodies]
    resources = [resource for resources in received for resource in resources]
    named = {span.name: span for resource in resources for scope in resource.scope_spans for span in scope.spans}
    assert set(named) == {"flow:main", "flow:shout", "inner"}
    root, attempt, inner = named["flow:main"], named["flow:shout"], named["inner"]
    assert (int.from_bytes(root.trace_id, "big"), int.from_bytes(root.span_id, "big")) == ids("order-1")
    assert attempt.parent_span_id == root.span_id
    assert inner.parent_span_id == attempt.span_id
    service = {pair.key: pair.value.string_value for pair in resources[0].resource.attributes}
    assert service["service.name"] == "wf"


IMPATIENT = """
from wf.worker import sender
sender.FLUSH_SECONDS = 0.05
"""


def test_a_program_whose_collector_is_down_ends_as_it_would(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(FLOW)
    with Collector() as collector:
        url = collector.url  # nobody listens there any more
    done = place.run(IMPATIENT + RUN, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert "opentelemetry.sdk.trace" in done.stdout.split()
