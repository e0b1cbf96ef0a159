import pytest

from atoll.local.engines.podsettings import engine_settings, pre_stop_seconds, values_of
from atoll.local.engines.tempo import tempo_of

POD = {
    "metadata": {"name": "phi-4-abc"},
    "spec": {
        "containers": [
            {
                "args": [
                    *("microsoft/phi-4", "--served-model-name", "phi-4", "default/phi-4", "--max-num-seqs", "64"),
                    *("--max-model-len=16384", "--port", "8000", "--shutdown-timeout", "30"),
                ],
                "env": [{"name": "VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "value": "7200"}],
                "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
            }
        ]
    },
    "status": {"podIP": "10.244.1.3"},
}
TEMPO = tempo_of(rate=2.0, input_tokens=1000.0, output_tokens=200.0, ttft=1.0, tpot=0.05)


def test_an_engine_is_what_its_pods_command_line_says() -> None:
    found = engine_settings(POD, TEMPO, chunk_tokens=8)
    assert found.served_names == ("phi-4", "default/phi-4")
    assert (found.max_sequences, found.max_context, found.port) == (64, 16384, 8000)
    assert (found.keep_alive, found.shutdown, found.address) == (7200.0, 30.0, "10.244.1.3")
    assert pre_stop_seconds(POD) == 2.0


def test_a_flag_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="--max-num-seqs has no value"):
        values_of(["--port", "8000"], "--max-num-seqs")
