"""Teams of developers, which own applications."""

from ..model import Model, OpenEnum, Snowflake
from .user import PartialUser

__all__ = ["MembershipState", "Team", "TeamMember"]


class MembershipState(OpenEnum):
    """Whether a member of a team has joined it yet (Discord: Managing Your Developer Team > Membership State Enum)."""

    INVITED = 1
    ACCEPTED = 2


class TeamMember(Model, frozen=True, kw_only=True):
    """Somebody's place in a team (Discord: Managing Your Developer Team > Team Member Object)."""

    membership_state: MembershipState
    team_id: Snowflake
    user: PartialUser
    role: str
    """`admin`, `developer` or `read_only`. The owner is told by `Team.owner_user_id` alone."""


class Team(Model, frozen=True, kw_only=True):
    """Developers who own applications together (Discord: Managing Your Developer Team > Team Object)."""

    icon: str | None = None
    """CDN hash (Discord: API Reference > Image Formatting)."""
    id: Snowflake
    members: list[TeamMember]
    name: str
    owner_user_id: Snowflake
