import mqttPacket from 'mqtt-packet';

// mqtt and aedes share this codec. Left alone, it makes 65,536 Buffers of two bytes at the first packet and keeps
// them for good: 7.5 MiB resident (mqtt-packet 9.0).
mqttPacket.writeToStream.cacheNumbers = false;
