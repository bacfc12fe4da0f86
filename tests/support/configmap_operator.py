"""An operator as users of kopf write it: marks ConfigMaps labelled `watched` and says so in an event."""

import kopf


@kopf.on.startup()
async def quiet(settings, **_):  # type: ignore[no-untyped-def]
    """No peering object: one operator only."""
    settings.peering.standalone = True


@kopf.on.create("configmaps", labels={"watched": "yes"})
async def created(body, patch, **_):  # type: ignore[no-untyped-def]
    """Answer in the object itself."""
    patch.setdefault("data", {})["seen"] = "created"
    kopf.info(body, reason="Seen", message="the operator has seen it")


@kopf.on.update("configmaps", labels={"watched": "yes"}, field="data.size")
async def resized(patch, new, **_):  # type: ignore[no-untyped-def]
    """Answer a change of one field."""
    patch.setdefault("data", {})["seen"] = f"size {new}"


@kopf.on.delete("configmaps", labels={"watched": "yes"})
async def deleted(namespace, **_):  # type: ignore[no-untyped-def]
    """Its finalizer is what holds the object until this has run."""
