"""Moments of the Azure traces."""

from atoll.catalogue.lengths import azure_workloads


def test_code_prompts_are_long_and_answers_short() -> None:
    code, conversation = azure_workloads()["azure-code"], azure_workloads()["azure-conversation"]
    assert (code.input.mean, code.output.mean) == (2047.8, 27.9)
    assert (conversation.input.mean, conversation.output.mean) == (1154.7, 211.1)
    assert code.output.cv > 2 * conversation.output.cv
