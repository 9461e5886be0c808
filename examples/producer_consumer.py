"""Shows what switching is, without hub or loop: two bare greenlets hand each other values.

python examples/producer_consumer.py
"""

from greenlet import greenlet


def produce():
    for item in range(1, 11):
        print(f"produced {item}")
        consumer.switch(item)
    consumer.switch(None)


def consume(item):
    while item is not None:
        print(f"    consumed {item}")
        item = producer.switch()


producer = greenlet(produce)
consumer = greenlet(consume)
producer.switch()
