"""The KubeVirt resource: its certificates, TLS, seccomp and patches. Source: KubeVirt's rules for updates."""

import json
from datetime import timedelta
from typing import Final

from kobune.api.kubevirt import KubeVirt
from kobune.api.kubevirt.configuration import KubeVirtConfiguration
from kobune.api.kubevirt.kubevirt import CertConfig, KubeVirtSelfSignConfiguration
from kobune.base.duration import parse_duration
from kobune.virt.admission.review import Problem, Reason

__all__ = ["check_installation", "installation_warnings"]

_CA_LIFE: Final = timedelta(days=7)
_CERTIFICATE_LIFE: Final = timedelta(days=1)
_EARLIER: Final = 5
"""Certificates are renewed when a fifth of their life is left, unless something else is asked for."""
_CONFIGURATION: Final = "spec.configuration"
_CIPHERS: Final = frozenset(
    (
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_256_GCM_SHA384",
        *(
            f"TLS_ECDHE_{key}_WITH_{cipher}"
            for key in ("ECDSA", "RSA")
            for cipher in (
                "AES_128_CBC_SHA",
                "AES_256_CBC_SHA",
                "AES_128_GCM_SHA256",
                "AES_256_GCM_SHA384",
                "CHACHA20_POLY1305_SHA256",
            )
        ),
    )
)
"""The suites by IANA's names that KubeVirt's components, and so manifests written for them, know."""


def check_installation(installation: KubeVirt) -> list[Problem]:
    """A KubeVirt resource that is being changed."""
    problems = []
    spec = installation.spec
    customize = spec.customize_components
    for patch in customize.patches if customize is not None else ():
        try:
            json.loads(patch.patch)
        except ValueError:
            problems.append(Problem("", Reason.NOT_SUPPORTED, f'patch "{patch.patch}" is not valid JSON'))
    rotation = spec.certificate_rotate_strategy
    if rotation is not None and rotation.self_signed is not None:
        problems += _certificates(rotation.self_signed)
    if spec.configuration is not None:
        problems += _configuration(spec.configuration)
    if spec.infra is not None and spec.infra.replicas == 0:
        problems.append(Problem("", Reason.INVALID, "infra replica count can't be 0"))
    return problems


def installation_warnings(installation: KubeVirt) -> list[str]:
    """Fields that have a newer name."""
    configuration = installation.spec.configuration
    devices = configuration.mediated_devices_configuration if configuration is not None else None
    if devices is None:
        return []
    base = f"{_CONFIGURATION}.mediatedDevicesConfiguration"
    paths = [f"{base}.mediatedDevicesTypes"] if devices.mediated_devices_types else []
    paths += [
        f"{base}.nodeMediatedDeviceTypes[{index}].mediatedDevicesTypes"
        for index, node in enumerate(devices.node_mediated_device_types)
        if node.mediated_devices_types
    ]
    return [f"{path} is deprecated, use mediatedDeviceTypes" for path in paths]


def _configuration(configuration: KubeVirtConfiguration) -> list[Problem]:
    problems = []
    if (ratio := configuration.additional_guest_memory_overhead_ratio) is not None:
        try:
            if float(ratio) < 1.0:
                message = f"ratio provided, {ratio}, cannot be smaller than 1.0"
                problems.append(Problem("", Reason.NOT_SUPPORTED, message))
        except ValueError:
            message = f"ratio provided, {ratio}, cannot be parsed into float: write it like 1.5"
            problems.append(Problem("", Reason.NOT_SUPPORTED, message))
    tls = configuration.tls_configuration
    path = f"{_CONFIGURATION}.tlsConfiguration"
    if tls is not None and tls.ciphers and tls.min_tls_version in (None, "", "VersionTLS13"):
        message = f"You cannot specify ciphers when {path}.minTLSVersion is empty or VersionTLS13"
        problems.append(Problem(f"{path}.ciphers", Reason.NOT_SUPPORTED, message))
    elif tls is not None:
        problems += [
            Problem(f"{path}.ciphers#{index}", Reason.NOT_SUPPORTED, f"{cipher} is not a valid cipher")
            for index, cipher in enumerate(tls.ciphers)
            if cipher not in _CIPHERS
        ]
    return problems + _seccomp(configuration)


def _seccomp(configuration: KubeVirtConfiguration) -> list[Problem]:
    seccomp = configuration.seccomp_configuration
    profile = seccomp.virtual_machine_instance_profile if seccomp is not None else None
    if profile is None:
        return []
    path = f"{_CONFIGURATION}.seccompConfiguration.virtualMachineInstanceProfile.customProfile"
    custom = profile.custom_profile
    if custom is None:
        return [Problem(path, Reason.INVALID, f"{path} needs to be set")]
    if custom.localhost_profile is None or not custom.runtime_default_profile:
        return []
    both = (f"{path}.localhostProfile", f"{path}.runtimeDefaultProfile")
    return [
        Problem(one, Reason.INVALID, f"{one} cannot be set when {other} is set")
        for one, other in zip(both, both[::-1], strict=True)
    ]


def _certificates(wanted: KubeVirtSelfSignConfiguration) -> list[Problem]:
    problems = []
    old = (wanted.ca_rotate_interval, wanted.cert_rotate_interval, wanted.ca_overlap_interval)
    if any(value is not None for value in old) and (wanted.ca is not None or wanted.server is not None):
        message = (
            "caRotateInterval, certRotateInterval and caOverlapInterval are deprecated and conflict with CertConfig "
            "defined rotation parameters"
        )
        problems.append(Problem("", Reason.NOT_SUPPORTED, message))
    try:
        ca_life, ca_left = _life(wanted.ca, wanted.ca_rotate_interval, wanted.ca_overlap_interval, _CA_LIFE)
        life, left = _life(wanted.server, wanted.cert_rotate_interval, None, _CERTIFICATE_LIFE)
    except ValueError as error:
        return [*problems, Problem("spec.certificateRotateStrategy.selfSigned", Reason.INVALID, str(error))]
    path = "spec.certificateRotationStrategy.selfSigned"
    for wrong, message in (
        (ca_life < ca_left, f"CA RenewBefore cannot exceed Duration ({path}.ca.duration < {path}.ca.renewBefore)"),
        (
            life < left,
            f"Cert RenewBefore cannot exceed Duration ({path}.server.duration < {path}.server.renewBefore)",
        ),
        (life > ca_life, f"Certificate duration cannot exceed CA ({path}.server.duration > {path}.ca.duration)"),
    ):
        if wrong:
            problems.append(Problem("", Reason.INVALID, message))
    return problems


def _life(
    wanted: CertConfig | None, old_life: str | None, old_left: str | None, otherwise: timedelta
) -> tuple[timedelta, timedelta]:
    """How long a certificate is valid, and how much of that is left when it is renewed. Raises ValueError."""
    life_text = (wanted.duration if wanted is not None else None) or old_life
    left_text = (wanted.renew_before if wanted is not None else None) or old_left
    life = parse_duration(life_text) if life_text else otherwise
    return life, parse_duration(left_text) if left_text else life / _EARLIER
