"""The link against the emulated autopilot: engagement, authority, hold, take-off, landing, faults."""

import math
import random
import re

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Authority, Firmware, LinkEventKind
from navstack.autopilot.mavlink.codec import Codec
from navstack.contract import VelocityCommand
from navstack.errors import InputError

BOTH = pytest.mark.parametrize("firmware", [Firmware.PX4, Firmware.ARDUCOPTER])
FORWARD = VelocityCommand(1.0, 0.0, 0.0, 0.0)
ZERO = VelocityCommand(0.0, 0.0, 0.0, 0.0)


def velocity_in_body(flight):
    state = flight.body.state()
    east, north, up = state.velocity_enu
    yaw = state.yaw
    return (
        east * math.cos(yaw) + north * math.sin(yaw),
        north * math.cos(yaw) - east * math.sin(yaw),
        up,
    )


@BOTH
@pytest.mark.parametrize("turned", [0.0, 1.0, 2.5, -2.0])
def test_a_command_flies_in_the_level_body_frame_at_any_heading(fly, firmware, turned):
    flight = fly(firmware, self_test=False).engaged()
    if turned:
        rate = math.copysign(0.8, turned)
        flight.run(abs(turned) / 0.8, VelocityCommand(0.0, 0.0, 0.0, rate))
    flight.run(2.5, VelocityCommand(0.8, 0.4, 0.2, 0.0))
    forward, left, up = velocity_in_body(flight)
    assert forward == pytest.approx(0.8, abs=0.08)
    assert left == pytest.approx(0.4, abs=0.08)
    assert up == pytest.approx(0.2, abs=0.05)


@BOTH
def test_a_turn_is_counter_clockwise(fly, firmware):
    flight = fly(firmware, self_test=False).engaged()
    before = flight.body.state().yaw
    flight.run(1.5, VelocityCommand(0.0, 0.0, 0.0, 0.6))
    turned = math.remainder(flight.body.state().yaw - before, math.tau)
    assert 0.5 < turned < 0.95
    assert flight.link.state().yaw == pytest.approx(flight.body.state().yaw, abs=0.02)


@BOTH
def test_it_engages_by_itself_tests_in_hover_and_then_flies(fly, firmware):
    flight = fly(firmware).engaged()
    assert flight.kinds().index(LinkEventKind.SELF_TEST) < flight.kinds().index(LinkEventKind.ENGAGED)
    flight.run(2.0, FORWARD)
    assert velocity_in_body(flight)[0] > 0.8


def test_the_pilots_switch_engages_and_nothing_before_it(fly):
    flight = fly(engage="pilot")
    flight.run(2.0)
    flight.link.engage()
    flight.run(4.0, FORWARD)
    assert flight.authority is Authority.OFFERED
    assert flight.body.state().speed < 0.1
    flight.autopilot.pilot_selects(flight.autopilot.emulation.modes.command)
    assert flight.run(6.0, FORWARD, until=lambda: flight.authority is Authority.HELD)


@BOTH
def test_a_mode_change_by_the_pilot_ends_authority_and_the_stream(fly, firmware):
    flight = fly(firmware, engage="pilot")
    flight.run(2.0)
    flight.link.engage()
    flight.run(2.0, ZERO)
    flight.autopilot.pilot_selects(flight.autopilot.emulation.modes.command)
    flight.run(4.0, ZERO, until=lambda: flight.authority is Authority.HELD)
    flight.autopilot.pilot_selects(flight.autopilot.emulation.pilot_mode)
    flight.run(1.1, FORWARD)
    assert flight.authority is Authority.ENDED
    sent = flight.autopilot.setpoints
    flight.run(2.0, FORWARD)
    assert flight.autopilot.setpoints == sent
    # A switch by itself takes nothing back: the loop must offer again, and the pilot switch again.
    flight.autopilot.pilot_selects(flight.autopilot.emulation.modes.command)
    flight.run(0.9, FORWARD)
    assert flight.authority is Authority.ENDED


def test_after_it_ended_offering_again_waits_for_a_fresh_switch(fly):
    flight = fly(Firmware.ARDUCOPTER, engage="pilot", self_test=False)
    flight.run(2.0)
    flight.link.engage()
    flight.run(1.0, ZERO)
    flight.autopilot.pilot_selects(4)
    assert flight.run(2.0, ZERO, until=lambda: flight.authority is Authority.HELD)
    flight.link.release("test")
    flight.run(1.5, ZERO)
    flight.link.engage()
    flight.run(3.0, FORWARD)
    assert flight.authority is Authority.OFFERED  # still GUIDED, but that switch is used up
    flight.autopilot.pilot_selects(5)
    flight.run(1.5, ZERO)
    flight.autopilot.pilot_selects(4)
    assert flight.run(2.0, ZERO, until=lambda: flight.authority is Authority.HELD)


@BOTH
def test_hold_is_a_mode_without_sticks_and_becomes_landing(fly, firmware):
    flight = fly(firmware).engaged()
    flight.run(2.0, FORWARD)
    flight.link.hold("test")
    flight.run(3.0, FORWARD)
    name = {Firmware.PX4: "AUTO.LOITER", Firmware.ARDUCOPTER: "BRAKE"}[firmware]
    assert flight.link.status().mode.name == name
    assert flight.body.state().speed < 0.1
    landed = flight.run(30.0, FORWARD, until=lambda: flight.authority is Authority.NONE)
    assert landed, flight.events
    assert flight.body.landed
    assert not flight.body.crashed
    assert not flight.autopilot.armed
    assert LinkEventKind.LAND in flight.kinds()


def test_where_hold_is_refused_it_lands(fly):
    flight = fly().engaged()
    flight.autopilot.reported.estimator_flags = 0x07  # no position
    flight.run(1.0, ZERO)
    flight.link.hold("estimate lost")
    flight.run(2.5)
    assert flight.link.status().mode.name == "AUTO.LAND"


@BOTH
def test_it_takes_off_by_the_autopilot_and_sends_nothing_meanwhile(fly, firmware):
    flight = fly(firmware, on_ground=True, arm=True)
    flight.run(2.0)
    with pytest.raises(InputError, match="on the ground"):
        flight.link.engage()
    flight.link.takeoff(2.0)
    assert flight.run(20.0, FORWARD, until=lambda: LinkEventKind.AIRBORNE in flight.kinds())
    assert flight.autopilot.setpoints == 0
    assert flight.body.state().position_enu[2] == pytest.approx(2.0, abs=0.4)
    flight.link.engage()
    assert flight.run(8.0, ZERO, until=lambda: flight.authority is Authority.HELD)


def test_a_velocity_ends_arducopters_take_off_which_is_why_none_is_sent(fly):
    flight = fly(Firmware.ARDUCOPTER, on_ground=True, arm=True)
    flight.run(2.0)
    flight.link.takeoff(3.0)
    flight.run(10.0, until=lambda: flight.body.state().position_enu[2] > 1.0)
    message = dialect.MAVLink_set_position_target_local_ned_message(
        0, 1, 1, 1, 0x05C7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    )
    flight.wire.companion.write(Codec(1, 191).encode(message))
    flight.run(5.0)
    assert flight.body.state().position_enu[2] < 2.0
    assert any("ended the take-off" in text for _, text in flight.autopilot.log)


def test_arming_is_refused_without_permission(fly):
    flight = fly(on_ground=True)
    flight.run(2.0)
    with pytest.raises(InputError, match="disarmed"):
        flight.link.takeoff(2.0)


@pytest.mark.parametrize(
    ("firmware", "parameters", "name"),
    [
        (Firmware.PX4, {"COM_OF_LOSS_T": 5.0}, "COM_OF_LOSS_T"),
        (Firmware.PX4, {"COM_OBL_RC_ACT": 0.0}, "COM_OBL_RC_ACT"),
        (Firmware.PX4, {"COM_RC_OVERRIDE": 1.0}, "COM_RC_OVERRIDE"),
        (Firmware.PX4, {"GF_ACTION": 0.0}, "GF_ACTION"),
        (Firmware.PX4, {"GF_MAX_HOR_DIST": 0.0}, "GF_MAX_HOR_DIST"),
        (Firmware.ARDUCOPTER, {"GUID_TIMEOUT": 3.0}, "GUID_TIMEOUT"),
        (Firmware.ARDUCOPTER, {"FENCE_ENABLE": 0.0}, "FENCE_ENABLE"),
        (Firmware.ARDUCOPTER, {"FENCE_ACTION": 0.0}, "FENCE_ACTION"),
    ],
)
def test_an_unsafe_failsafe_is_refused_unless_told(fly, firmware, parameters, name):
    flight = fly(firmware, False, parameters)
    flight.run(2.0)
    (bad,) = [f for f in flight.link.preflight() if not f.ok]
    assert bad.what == name
    assert bad.source
    with pytest.raises(InputError, match=name):
        flight.link.engage()
    told = fly(firmware, False, parameters, allow_unsafe=(name,))
    told.run(2.0)
    told.link.engage()
    assert told.authority is Authority.OFFERED


def test_the_time_that_the_autopilot_flies_on_is_known(fly):
    flight = fly(Firmware.PX4, False, {"COM_OF_LOSS_T": 0.5})
    flight.run(2.0)
    assert flight.link.status().silence_timeout == 0.5


@pytest.mark.parametrize(
    ("firmware", "name"), [(Firmware.PX4, "AUTO.LOITER"), (Firmware.ARDUCOPTER, "GUIDED")]
)
def test_silence_means_silence_and_the_autopilots_failsafe_ends_it(fly, firmware, name):
    flight = fly(firmware).engaged()
    flight.run(2.0, FORWARD)
    for _ in range(300):  # the loop is dead: nobody polls and nobody sends
        flight.autopilot.step()
    assert flight.autopilot.mode_name == name
    assert flight.body.state().speed < 0.1


@BOTH
def test_a_lost_link_ends_authority_within_its_time(fly, firmware):
    flight = fly(firmware).engaged()
    flight.run(1.0, FORWARD)
    lost_at = flight.body.now()
    flight.wire.companion.fault = flight.wire.vehicle.fault = lambda data, now: []
    assert flight.run(3.0, FORWARD, until=lambda: flight.authority is Authority.ENDED)
    assert flight.body.now() - lost_at < 1.2
    flight.run(2.0, FORWARD)
    assert flight.body.state().speed < 0.1


def test_a_short_gap_is_flown_over_and_zeros_are_sent_while_the_attitude_is_old(fly):
    flight = fly().engaged()
    flight.run(2.0, FORWARD)
    vehicle = flight.wire.vehicle
    vehicle.fault = lambda data, now: []
    flight.run(0.4, FORWARD)
    assert LinkEventKind.SETPOINT_WITHHELD in flight.kinds()
    assert (flight.autopilot.setpoint.vx, flight.autopilot.setpoint.vy) == (0.0, 0.0)
    vehicle.fault = lambda data, now: [(now, data)]
    flight.run(1.5, FORWARD)
    assert LinkEventKind.SETPOINT_RESUMED in flight.kinds()
    assert flight.authority is Authority.HELD
    assert velocity_in_body(flight)[0] > 0.5


def test_an_estimate_that_is_lost_stops_the_vehicle(fly):
    flight = fly().engaged()
    flight.run(2.0, FORWARD)
    flight.autopilot.reported.estimator_flags &= ~0x02
    flight.run(2.0, FORWARD)
    assert "horizontal velocity" in flight.link.status().estimate.flags
    assert flight.body.state().speed < 0.15


def test_a_jump_of_the_position_is_reported_for_a_second(fly):
    flight = fly().engaged()
    assert flight.link.status().estimate.jump < 0.2
    flight.autopilot.reported.position_offset = (3.0, 0.0, 0.0)
    flight.run(0.5, ZERO)
    assert flight.link.status().estimate.jump == pytest.approx(3.0, abs=0.2)
    flight.run(1.2, ZERO)
    assert flight.link.status().estimate.jump < 0.2


def test_a_heading_that_is_wrong_by_90_degrees_fails_the_self_test(fly):
    flight = fly()
    flight.run(2.0)
    flight.autopilot.reported.yaw_offset = math.pi / 2
    flight.run(0.5)
    flight.link.engage()
    flight.run(6.0, FORWARD)
    assert LinkEventKind.ENGAGED not in flight.kinds()
    assert re.search(r"flew (8[5-9]|9[0-5]) degrees to the left", flight.cause(LinkEventKind.HOLD))
    assert flight.link.status().mode.name == "AUTO.LOITER"


def test_a_rival_that_sends_setpoints_ends_authority(fly):
    flight = fly().engaged()
    turn = 0

    def interfere():
        nonlocal turn
        turn += 1
        if turn % 3 == 0:
            message = dialect.MAVLink_set_position_target_local_ned_message(
                0, 1, 1, 1, 0x05C7, 0, 0, 0, -2.0, 2.0, 0, 0, 0, 0, 0, 0
            )
            flight.autopilot.take_setpoint(message)
        return flight.authority is Authority.ENDED

    assert flight.run(5.0, ZERO, until=interfere)
    assert "not ours" in flight.cause(LinkEventKind.RIVAL)


def test_a_rival_whose_command_is_acknowledged_ends_authority(fly):
    flight = fly().engaged()
    flight.autopilot.send(
        dialect.MAVLink_command_ack_message(dialect.MAV_CMD_DO_REPOSITION, 0, 0, 0, 255, 190)
    )
    flight.run(0.1, ZERO)
    assert flight.authority is Authority.ENDED
    assert "system 255" in flight.cause(LinkEventKind.RIVAL)


def test_a_reboot_in_flight_ends_authority_and_asks_for_everything_again(fly, monkeypatch):
    flight = fly().engaged()
    monkeypatch.setattr("navstack.envs.sitl.autopilot.BOOTED_BEFORE", 0.5)
    flight.run(1.5, ZERO)
    assert LinkEventKind.REBOOTED in flight.kinds()
    assert flight.authority is Authority.ENDED


@BOTH
def test_every_kind_of_damage_on_the_wire_is_survived(fly, firmware):
    rng = random.Random(1)

    def damage(data, now):
        if rng.random() < 0.05:
            return []
        if rng.random() < 0.05:
            broken = bytearray(data)
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
            return [(now, bytes(broken))]
        late = now + rng.choice((0.0, 0.0, 0.01, 0.03))
        return [(late, data), (late, data)] if rng.random() < 0.05 else [(late, data)]

    flight = fly(firmware)
    flight.wire.companion.fault = flight.wire.vehicle.fault = damage
    flight.engaged()
    flight.run(5.0, FORWARD)
    statistics = flight.link.status().statistics
    assert 0.04 < statistics.loss < 0.2
    assert statistics.duplicated > 20
    assert statistics.corrupted > 20
    assert statistics.lost < 0.2 * statistics.received
    assert velocity_in_body(flight)[0] > 0.7


def test_time_is_synchronised_and_states_carry_the_flight_loops_time(fly):
    flight = fly()
    flight.wire.vehicle.fault = lambda data, now: [(now + 0.02, data)]
    flight.wire.companion.fault = lambda data, now: [(now + 0.02, data)]
    flight.run(4.0)
    statistics = flight.link.status().statistics
    assert statistics.round_trip == pytest.approx(0.04, abs=0.02)
    assert statistics.clock_offset == pytest.approx(-12.345, abs=0.015)
    assert flight.body.now() - flight.link.state().time == pytest.approx(0.03, abs=0.025)


def test_signed_messages_are_flown_and_unsigned_ones_are_not(fly):
    key = bytes(range(32))
    flight = fly(signing_key=key).engaged()
    forged = dialect.MAVLink_command_long_message(1, 1, dialect.MAV_CMD_DO_SET_MODE, 0, 1, 4, 6, 0, 0, 0, 0)
    flight.wire.companion.write(Codec(255, 190).encode(forged))
    flight.wire.companion.write(Codec(255, 190, bytes(32)).encode(forged))
    flight.run(1.5, ZERO)
    assert flight.autopilot.mode_name == "OFFBOARD"
    stranger = dialect.MAVLink_heartbeat_message(2, 12, 129, 50593792, 4, 3)
    flight.wire.vehicle.write(Codec(1, 1).encode(stranger))
    flight.run(0.5, ZERO)
    assert flight.authority is Authority.HELD


def test_of_several_vehicles_the_one_that_was_asked_for_is_flown(fly):
    flight = fly(system_id=7)
    flight.run(1.0)
    assert flight.link.status().identity is None  # this vehicle is system 1
    flight = fly(system_id=1)
    flight.run(0.5)
    assert flight.link.status().identity.system_id == 1


def test_the_heartbeat_is_that_of_an_onboard_computer_in_the_vehicles_system(fly):
    flight, heard = fly(), []
    codec = Codec(1, 1)
    flight.wire.companion.fault = lambda data, now: heard.extend(codec.decode(data)) or [(now, data)]
    flight.run(5.05)
    beats = [m for m in heard if m.get_type() == "HEARTBEAT"]
    assert len(beats) == 6
    assert {(m.get_srcSystem(), m.get_srcComponent(), m.type) for m in beats} == {(1, 191, 18)}


def test_a_command_that_is_not_finite_never_leaves(fly):
    flight = fly().engaged()
    with pytest.raises(ValueError, match="finite"):
        flight.link.send(VelocityCommand(math.nan, 0.0, 0.0, 0.0))


def test_disarming_in_flight_by_the_kill_switch_ends_authority(fly):
    flight = fly().engaged()
    flight.autopilot.disarm("kill switch")
    flight.run(1.2, ZERO)
    assert flight.authority is Authority.ENDED
    assert "disarmed" in flight.cause(LinkEventKind.ENDED)


def test_guided_that_was_selected_before_the_offer_is_no_switch(fly):
    flight = fly(Firmware.ARDUCOPTER, engage="pilot", self_test=False)
    flight.run(1.5)
    flight.autopilot.pilot_selects(4)
    flight.run(2.0)
    flight.link.engage()
    flight.run(3.0, FORWARD)
    assert flight.authority is Authority.OFFERED
    assert flight.body.state().speed < 0.1


def test_asking_for_the_mode_by_itself_takes_the_mode_that_is_there_but_never_one_that_was_used_up(fly):
    flight = fly(Firmware.ARDUCOPTER, self_test=False)
    flight.run(1.5)
    flight.autopilot.pilot_selects(4)
    flight.run(2.0)
    flight.link.engage()
    assert flight.run(3.0, ZERO, until=lambda: flight.authority is Authority.HELD)
    flight.link.release("test")
    flight.run(0.5)
    flight.link.engage()
    flight.run(3.0, FORWARD)
    assert flight.authority is Authority.OFFERED


def test_a_long_silence_is_no_jump(fly):
    flight = fly().engaged()
    flight.run(2.0, FORWARD)
    flight.wire.vehicle.fault = lambda data, now: []
    flight.run(4.0, FORWARD)
    flight.wire.vehicle.fault = lambda data, now: [(now, data)]
    flight.run(0.5, FORWARD)
    assert flight.link.status().estimate.jump < 0.5
