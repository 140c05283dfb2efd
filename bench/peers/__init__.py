"""Programs that poll Modbus meters and publish over MQTT, each set up as its own manual says."""
