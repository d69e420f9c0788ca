"""API.md §8, attention: missing or diverging code does not fail a run."""

from __future__ import annotations

import asyncio
import os

import pytest

import wf
from wf import registry
from wf.keys import Keyring


@wf.step(name="acceptance.attention.one")
async def one():
    return 1


@wf.step(name="acceptance.attention.two")
async def two():
    return 2


def define(name, body):
    with_name = wf.workflow(name=name)

    async def flow():
        return await body()

    return with_name(flow)


async def first_version():
    value = await one()
    await wf.hook(token="go")
    return value


async def other_version():
    value = await two()
    await wf.hook(token="go")
    return value


async def wait_for_attention(run):
    while (attention := await run.attention()) is None:
        await asyncio.sleep(0)
    return attention


async def test_code_that_diverges_is_not_failed_and_goes_on_when_it_is_back(wf_env, restart):
    run = await wf_env.start(define("acceptance.attention.diverges", first_version))
    await wf_env.wait_for_hook(run)
    assert await run.attention() is None
    define("acceptance.attention.diverges", other_version)
    await restart()
    await wf.resume_hook("go")
    attention = await wait_for_attention(run)
    assert isinstance(attention, wf.Attention)
    assert attention.code == "NONDETERMINISM"
    assert "acceptance.attention.one" in attention.recorded
    assert "acceptance.attention.two" in attention.actual
    assert "test_attention.py:" in attention.where
    assert " in other_version" in attention.where
    assert isinstance(attention.seq, int)
    assert run.run_id in attention.message
    assert await run.status() == "running"
    with pytest.raises(wf.NondeterminismError) as caught:
        await run.return_value()
    assert caught.value.recorded == attention.recorded
    define("acceptance.attention.diverges", first_version)
    await restart()
    assert await run.return_value() == 1
    assert await run.attention() is None


async def test_a_missing_workflow_is_not_registered_and_comes_back(wf_env, restart):
    flow = define("acceptance.attention.gone", first_version)
    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    del registry._workflows[flow.id]
    await restart()
    await wf.resume_hook("go")
    attention = await wait_for_attention(run)
    assert attention.code == "NOT_REGISTERED"
    assert flow.id in attention.message
    assert await run.status() == "running"
    with pytest.raises(wf.NotRegisteredError):
        await run.return_value()
    define(flow.id, first_version)
    await restart()
    assert await run.return_value() == 1


async def test_a_run_that_never_started_stays_pending(wf_env, restart):
    flow = define("acceptance.attention.never", first_version)
    del registry._workflows[flow.id]
    run = await wf.start(flow)
    attention = await wait_for_attention(run)
    assert attention.code == "NOT_REGISTERED"
    assert await run.status() == "pending"
    define(flow.id, first_version)
    await restart()
    await wf_env.wait_for_hook(run)
    await wf.resume_hook("go")
    assert await run.return_value() == 1


async def test_a_step_that_is_registered_nowhere_is_named_with_close_matches(wf_env, restart):
    @wf.step(name="acceptance.attention.charge_card")
    async def old():
        return 1

    @wf.step(name="acceptance.attention.charge_cart")
    async def new():
        return 1

    async def before():
        value = await old()
        await wf.hook(token="go")
        return value

    async def after():
        value = await new()
        await wf.hook(token="go")
        return value

    run = await wf_env.start(define("acceptance.attention.renamed", before))
    await wf_env.wait_for_hook(run)
    define("acceptance.attention.renamed", after)
    del registry._steps[old.id]
    await restart()
    await wf.resume_hook("go")
    attention = await wait_for_attention(run)
    assert attention.code == "NOT_REGISTERED"
    with pytest.raises(wf.NotRegisteredError) as caught:
        await run.return_value()
    assert "acceptance.attention.charge_card" in str(caught.value)
    assert "acceptance.attention.charge_cart" in str(caught.value)


async def test_terminate_and_forced_cancel_end_a_run_that_needs_attention(wf_env, restart):
    runs = []
    for how in ("terminate", "force"):
        run = await wf_env.start(define(f"acceptance.attention.{how}", lambda how=how: ends(how)))
        await wf_env.wait_for_hook(run)
        define(f"acceptance.attention.{how}", other_version)
        runs.append(run)
    await restart()
    for run, how in zip(runs, ("terminate", "force"), strict=True):
        await wf.resume_hook(how)
        await wait_for_attention(run)
    await runs[0].terminate("enough")
    await runs[1].cancel("enough", force=True)
    for run in runs:
        with pytest.raises(wf.WorkflowRunCancelledError):
            await run.return_value()


async def ends(token):
    await one()
    await wf.hook(token=token)


async def test_another_signature_is_attention_not_failure(wf_env, restart):
    def version_one():
        @wf.workflow(name="acceptance.attention.signature")
        async def flow(a):
            await wf.hook(token="go")

        return flow

    def version_two():
        @wf.workflow(name="acceptance.attention.signature")
        async def flow(b):
            await wf.hook(token="go")

    run = await wf_env.start(version_one(), 1)
    await wf_env.wait_for_hook(run)
    version_two()
    await restart()
    await wf.resume_hook("go")
    assert (await wait_for_attention(run)).code == "NONDETERMINISM"
    assert await run.status() == "running"


async def test_a_key_that_is_gone_is_attention_and_comes_back(wf_env):
    from wf.embedding import EmbeddedWorker

    run = await wf_env.start(define("acceptance.attention.key", first_version))
    await wf_env.wait_for_hook(run)
    session, right = wf_env.session, wf_env._keyring
    await wf_env._embedded.__aexit__(None, None, None)

    async def come(keyring):
        new = EmbeddedWorker(session.world, grace=0, clock=session.clock, keyring=keyring, capture_logs=False)
        await new.__aenter__()
        wf_env._embedded = new

    # The run has something to do: a client with the right key has resumed it.
    await come(right)
    await wf_env._embedded.__aexit__(None, None, None)
    await come(Keyring([os.urandom(32)]))
    await run.cancel("wakes it")
    attention = await wait_for_attention(run)
    assert attention.code == "DECRYPTION"
    with pytest.raises(wf.DecryptionError):
        await run.return_value()
    assert await run.status() == "running"
    await wf_env._embedded.__aexit__(None, None, None)
    await come(right)
    await wf.resume_hook("go")
    assert await run.return_value() == 1


async def test_changes_that_make_the_same_calls_are_no_divergence(wf_env, restart):
    run = await wf_env.start(define("acceptance.attention.same", first_version))
    await wf_env.wait_for_hook(run)

    async def refactored():
        async def inner():
            return await one()

        value = await inner()
        unused = [value] * 3
        await wf.hook(token="go")
        return value, len(unused)

    define("acceptance.attention.same", refactored)
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == (1, 3)


@pytest.mark.parametrize("change", ["more", "less", "order", "kind", "arguments"])
async def test_breaking_changes_are_noticed(wf_env, restart, change):
    @wf.step(name="acceptance.attention.echo")
    async def echo(value):
        return value

    async def before():
        await echo(1)
        await echo(2)
        await wf.hook(token="go")

    async def after():
        match change:
            case "more":
                await echo(1)
                await echo(2)
                await echo(3)
            case "less":
                await echo(1)
            case "order":
                await echo(2)
                await echo(1)
            case "kind":
                await echo(1)
                await wf.sleep(1)
            case "arguments":
                await echo(1)
                await echo(3)
        await wf.hook(token="go")

    run = await wf_env.start(define("acceptance.attention.breaks", before))
    await wf_env.wait_for_hook(run)
    define("acceptance.attention.breaks", after)
    await restart()
    await wf.resume_hook("go")
    assert (await wait_for_attention(run)).code == "NONDETERMINISM"
    await run.terminate()


async def test_a_cancel_of_a_run_that_rests_before_its_first_event_is_done_when_it_returns(wf_env):
    flow = define("acceptance.attention.never-started", first_version)
    with registry.isolated():
        del registry._workflows[flow.id]
        run = await wf.start(flow)
        with pytest.raises(wf.NotRegisteredError):
            await run.return_value()
        assert await run.status() == "pending"
        await run.cancel("not needed")
        with pytest.raises(wf.WorkflowRunCancelledError, match="not needed"):
            await run.return_value()
