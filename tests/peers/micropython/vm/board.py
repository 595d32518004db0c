# The board under main.py: no Wi-Fi to wait for, and an LED that counts the cycles.
cycles = 0


async def connect_wifi(config):
    pass


def led(on):
    global cycles
    cycles += 1
