"""What Home Assistant is told, so that streams become devices and rules become sensors by themselves.

Values in, values out. Each function gives a topic and the JSON that is published there retained; an empty text there
makes Home Assistant forget it. https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

from typing import Any

from streamer.notify.topics import Topics, slug


def sensor_topic(topics: Topics, discovery_prefix: str, stream: str, rule: str) -> str:
    return f"{discovery_prefix}/binary_sensor/{topics.node}/{topics.entity(stream, rule)}/config"


def switch_topic(topics: Topics, discovery_prefix: str, stream: str) -> str:
    return f"{discovery_prefix}/switch/{topics.node}/{slug(stream)}/config"


def sensor(topics: Topics, stream: str, rule: str, base_url: str | None = None) -> dict[str, Any]:
    """A binary sensor that is on while an alert of that rule goes on."""
    return {
        "name": rule,
        "unique_id": f"streamer_{topics.node}_{topics.entity(stream, rule)}",
        "state_topic": topics.state(stream, rule),
        "payload_on": "ON",
        "payload_off": "OFF",
        "json_attributes_topic": topics.attributes(stream, rule),
        "icon": "mdi:cctv",
        **_shared(topics, stream, base_url),
    }


def switch(topics: Topics, stream: str, base_url: str | None = None) -> dict[str, Any]:
    """A switch that pauses the analysis of a stream and lets it go on."""
    return {
        "name": "Analysis",
        "unique_id": f"streamer_{topics.node}_{slug(stream)}_analysis",
        "state_topic": topics.analysis_state(stream),
        "command_topic": topics.analysis_set(stream),
        "payload_on": "ON",
        "payload_off": "OFF",
        "icon": "mdi:eye",
        **_shared(topics, stream, base_url),
    }


def _shared(topics: Topics, stream: str, base_url: str | None) -> dict[str, Any]:
    device = {
        "identifiers": [f"streamer_{topics.node}_{slug(stream)}"],
        "name": stream,
        "manufacturer": "streamer",
        "model": "Gemma 4",
    }
    return {
        "availability_topic": topics.available,
        "payload_available": "online",
        "payload_not_available": "offline",
        "device": {**device, "configuration_url": base_url} if base_url else device,
        "origin": {"name": "streamer"},
    }
