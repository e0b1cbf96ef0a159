from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.gpu import GpuConfig
from atoll.domain.pool import NodeResources
from atoll.render.requests import stage_share
from render.sample import H100

WIDTHS = st.sampled_from((1, 2, 4, 8))


@given(
    st.lists(WIDTHS, min_size=1, max_size=8).filter(lambda widths: sum(widths) <= 8),
    st.integers(100, 10**6),
    st.integers(100, 10**7),
    st.integers(100, 10**7),
)
def test_stages_that_fit_by_gpu_fit_by_everything_else(widths: list[int], cpu: int, memory: int, storage: int) -> None:
    node = NodeResources(cpu_millis=cpu, memory_mib=memory, ephemeral_mib=storage)
    shares = [stage_share(width, replace(H100, resources=node)) for width in widths]

    assert sum(share.cpu_millis for share in shares) <= 0.9 * cpu
    assert sum(share.memory_mib for share in shares) <= 0.9 * memory
    assert sum(share.ephemeral_mib for share in shares) <= 0.9 * storage


def test_a_stage_gets_its_part_of_nine_tenths_rounded_down() -> None:
    share = stage_share(2, H100)

    assert share.requests == {"cpu": "43", "memory": "435Gi", "ephemeral-storage": "109Gi"}
    assert share.limits == {"nvidia.com/gpu": "2"}


def test_shared_memory_is_within_the_share() -> None:
    little = replace(
        H100, config=GpuConfig(kind="L4-24GB", count=1), resources=replace(H100.resources, memory_mib=14_000)
    )

    assert stage_share(1, little).shared_memory_mib < stage_share(1, little).memory_mib
    assert stage_share(8, H100).shared_memory_mib == 16 * 1024
