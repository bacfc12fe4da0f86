"""The runtime in memory keeps the contract."""

from pathlib import Path

import pytest

from kobune.host.cri.fake import FakeCri
from kobune.kube.client.clock import SystemClock
from support.cri_contract import IMAGE, CriContract


class TestFakeCri(CriContract):
    @pytest.fixture
    def runtime(self) -> FakeCri:
        return FakeCri(SystemClock(), IMAGE)

    @pytest.fixture
    def logs(self, tmp_path: Path) -> Path:
        return tmp_path
