"""A Modbus server that is libmodbus, in C; none of our code, and none of pymodbus, answers here.

    python tests/agent/acquire/bus/libmodbus_server.py tcp PORT
    python tests/agent/acquire/bus/libmodbus_server.py rtu /dev/pts/3

Unit 7. Holding register ``n`` holds ``n``, for every address; there are 100 input registers, and
``n`` holds ``65535 - n``. Prints a line when it can be asked. Ends when its peer goes.
"""

import ctypes
import ctypes.util
import sys

LIBRARY = ctypes.util.find_library("modbus")
UNIT = 7
HOLDING = 65536
INPUT = 100
_LONGEST_REQUEST = 260  # MODBUS_MAX_ADU_LENGTH


class _Mapping(ctypes.Structure):
    """``modbus_mapping_t`` of libmodbus 3.1."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("bits", "bits_from", "inputs", "inputs_from")),
        *((name, ctypes.c_int) for name in ("input_registers", "input_from", "registers", "from_")),
        *((name, ctypes.POINTER(ctypes.c_uint8)) for name in ("tab_bits", "tab_inputs")),
        *((name, ctypes.POINTER(ctypes.c_uint16)) for name in ("tab_input_registers", "tab_registers")),
    )


def serve(kind: str, where: str) -> None:
    """Answer one peer until it goes."""
    modbus = ctypes.CDLL(LIBRARY)
    for name in ("modbus_new_tcp", "modbus_new_rtu"):
        getattr(modbus, name).restype = ctypes.c_void_p
    modbus.modbus_mapping_new.restype = ctypes.POINTER(_Mapping)
    mapping = modbus.modbus_mapping_new(0, 0, HOLDING, INPUT)
    for address in range(HOLDING):
        mapping.contents.tab_registers[address] = address
    for address in range(INPUT):
        mapping.contents.tab_input_registers[address] = 65535 - address
    if kind == "tcp":
        context = ctypes.c_void_p(modbus.modbus_new_tcp(b"127.0.0.1", int(where)))
        listening = ctypes.c_int(modbus.modbus_tcp_listen(context, 1))
        print("ready", flush=True)
        modbus.modbus_tcp_accept(context, ctypes.byref(listening))
    else:
        context = ctypes.c_void_p(
            modbus.modbus_new_rtu(where.encode(), 115200, ctypes.c_char(b"N"), ctypes.c_int(8), ctypes.c_int(1))
        )
        modbus.modbus_set_slave(context, UNIT)
        if modbus.modbus_connect(context) == 0:
            print("ready", flush=True)
    request = (ctypes.c_uint8 * _LONGEST_REQUEST)()
    while (length := modbus.modbus_receive(context, request)) >= 0:
        modbus.modbus_reply(context, request, length, mapping)


if __name__ == "__main__":
    serve(*sys.argv[1:])
