from .target_generator import TeacherOutput

__all__ = ["TeacherOutput"]
